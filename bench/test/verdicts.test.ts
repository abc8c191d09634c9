import { failOnLeftovers } from '@parley/test-kit'
import t from 'tap'
import { inTurn, type Row } from '../src/bench.ts'
import { toTable, toVerdictTable } from '../src/report.ts'
import { atLeastOrTimes, atLeastTimes, atMost, atMostTimes } from '../src/verdicts.ts'

failOnLeftovers(t)

const row = (parley: number[], socketio: number[], broadcast: number[] = []): Row => ({
  what: 'accepted',
  unit: 'messages/s',
  values: { parley, socketio, broadcast },
  loadShare: 0.5
})

t.test('a target is reached by the median of the rounds, and missed by less', t => {
  const four = row([100, 400, 900], [100, 101, 99])
  t.match(atLeastTimes('S2', four, 4, 'socketio'), { found: '4.00 ×', isReached: true })
  t.match(atLeastTimes('S2', four, 4.01, 'socketio'), { wanted: 'at least 4.01 × that of Socket.IO', isReached: false })
  t.match(atMostTimes('S1', four, 4, 'socketio'), { isReached: true })
  t.match(atMostTimes('S1', four, 3.99, 'socketio'), { isReached: false })
  t.match(atMost('S2', four, 400), { wanted: 'at most 400 messages/s', found: '400 messages/s', isReached: true })
  t.match(atMost('S2', four, 399), { isReached: false })
  t.end()
})

t.test('of a target that is a value or a multiple either is enough, and neither is not', t => {
  const either = row([400], [], [300])
  t.match(atLeastOrTimes('S3', either, 400, 2, 'broadcast'), { isReached: true })
  t.match(atLeastOrTimes('S3', either, 500, 1.3, 'broadcast'), { isReached: true })
  t.match(atLeastOrTimes('S3', either, 500, 1.4, 'broadcast'), { found: '400, 1.33 ×', isReached: false })
  t.end()
})

t.test('what was not measured reaches nothing', t => {
  const nothing = row([], [])
  t.match(atMost('S2', nothing, 400), { isReached: false })
  t.match(atLeastTimes('S2', row([400], []), 4, 'socketio'), { isReached: false })
  t.match(atLeastTimes('S2', row([400], [0]), 4, 'socketio'), { isReached: false })
  t.match(atLeastOrTimes('S3', row([400], [], [0]), 500, 1.3, 'broadcast'), { isReached: false })
  t.end()
})

t.test('the tables say what was missed, and leave a gap where a server has no such thing', t => {
  const text = toVerdictTable([atMost('S2 CPU', row([200], []), 125), atMost('S2 CPU', row([100], []), 125)])
  t.match(text, /S2 CPU +at most 125 messages\/s +200 messages\/s +MISSED/)
  t.match(text, /S2 CPU +at most 125 messages\/s +100 messages\/s +reached/)
  t.match(toTable([row([200], [100])]), /accepted \(messages\/s\) +200 +100 +– +2\.00 +50 %/)
  t.end()
})

t.test('in three rounds each server is first once', t => {
  t.same(new Set([1, 2, 3].map(round => inTurn(round)[0])), new Set(['parley', 'socketio', 'broadcast']))
  t.same(
    [1, 2, 3].map(round => inTurn(round).toSorted()),
    Array(3).fill(['broadcast', 'parley', 'socketio'])
  )
  t.end()
})
