import { Lifetime } from '@parley/test-kit'
import { type Bench, byTarget, count, cpuRowsOf, type Result, rowOf, sharesOf } from '../bench.ts'
import { Generator } from '../load/generator.ts'
import type { Ran } from '../load/protocol.ts'
import { makeConversations } from '../people.ts'
import { CONVERSATIONS, PEOPLE_EACH, RAMP_SECONDS } from './throughput.ts'

/**
 * S2 again at two gateways and two stores, every conversation spread over both gateways. The stores publish out of order
 * as a matter of course; what counts is that nobody sees it, and that no hole had to be filled from a store.
 */
export async function twoByTwo({ servers, pinning, accepted, isShort, say }: Bench): Promise<Result> {
  const conversations = await makeConversations(servers, CONVERSATIONS, PEOPLE_EACH)
  const rounds = byTarget<Ran>()
  const life = new Lifetime()
  let before: Record<string, number>
  let after: Record<string, number>
  try {
    const { urls, watched, readCounters } = await servers.double(life)
    const generator = new Generator(life, pinning.loadPrefix)
    await generator.order({ do: 'open', target: 'parley', urls, conversations, watched: {} })
    before = await readCounters()
    for (let round = 0; round <= (isShort ? 2 : 3); round++) {
      await servers.settle()
      const seconds = round === 0 ? 1 : isShort ? 3 : 8
      const ran = await generator.order({ do: 'closed', target: 'parley', rampSeconds: RAMP_SECONDS, seconds, watched })
      if (round > 0) rounds.parley.push(ran)
      say(`${round === 0 ? 'warm-up' : `round ${round}`}: ${Math.round(ran.accepted / ran.seconds)} accepted/s; ${sharesOf(ran)}`)
    }
    count(accepted.parley, (await generator.order({ do: 'close', target: 'parley' })).accepted)
    await servers.settle()
    after = await readCounters()
  } finally {
    await life.end()
  }
  const held = after.events_held_total! - before.events_held_total!
  const healed = after.conversations_healed_total! - before.conversations_healed_total!
  say(`${held} events came early and waited, ${healed} holes were filled from a store`)
  const row = (what: string, value: number) => ({ what, unit: 'in all', values: { ...byTarget<number>(), parley: [value] }, loadShare: 0 })
  return {
    rows: [
      rowOf('two gateways, two stores: accepted', 'messages/s', rounds, ran => ran.accepted / ran.seconds),
      rowOf('  acknowledged after, p99', 'ms', rounds, ran => ran.ack.p99),
      row('  events that came early and waited', held),
      row('  holes filled from a store', healed),
      ...cpuRowsOf('there', rounds)
    ],
    // A run in which anything is lost, twice or out of order ends before it comes here.
    verdicts: [{ what: 'two by two: holes filled without a fault', wanted: 'none', found: `${healed}`, isReached: healed === 0 }]
  }
}
