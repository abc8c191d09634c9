import { quantile } from '../report.ts'
import type { FaultCase } from '../trial.ts'
import { Crowd } from '../visitors/crowd.ts'
import { inviteVisitors } from '../visitors/visitors.ts'
import { watchDatabase } from '../visitors/watch.ts'

const SENDERS = 200
/** A statement that waits longer for a lock than this is ended by the database. */
const LOCK_MS = 1_500

export const hotConversation: FaultCase = {
  id: 'T-LD-6',
  title: '200 people write into one conversation at once',
  pass: 'nothing out of order; waits for a lock end before their time-out; no deadlock',
  async run(trial) {
    const visitors = await inviteVisitors(trial, SENDERS)
    const hot = await visitors.startConversation(visitors.people, 'Hot')
    visitors.leave()
    const crowd = new Crowd(trial, visitors, visitors.people, 1, { gateway: n => n })
    await crowd.start()
    const watch = await watchDatabase(trial)
    const times: number[] = []
    let refused = 0
    for (let round = 1; round <= trial.times(25, 3); round++) {
      await Promise.all(
        crowd.clients.map(async client => {
          const begun = performance.now()
          const key = `${client.proc}-${round}`
          const isSaid = await client.say(hot, key, `${visitors.mark} ${key}`)
          times.push(performance.now() - begun)
          trial.expect(isSaid, `${key} was not acknowledged`)
          // Their positions stand in rows of their own, which writing moves as well. What is too much at once may be refused.
          const read = await client.ask({ type: 'mark_read', conversation_id: hot })
          if (read?.type !== 'ack') refused++
          trial.expect(read?.type === 'ack' || read?.retryable === true, `marking as read was answered by ${read?.code ?? 'nothing'}`)
        })
      )
    }
    await crowd.expectWhole()
    const deadlocks = await watch.deadlocks()
    await watch.end()
    await crowd.stop()
    const longest = Math.max(...watch.lockWaits)
    trial.expect(deadlocks === 0, `${deadlocks} deadlocks`)
    trial.expectInTime(longest < LOCK_MS, `somebody waited ${Math.round(longest)} ms for a lock`)
    trial.measured
      .set('sends', `${times.length}, p50 ${Math.round(quantile(times, 0.5))} ms, p99 ${Math.round(quantile(times, 0.99))} ms`)
      .set(
        'longest wait for a lock',
        `p99 ${Math.round(quantile(watch.lockWaits, 0.99))} ms, max ${Math.round(longest)} ms of ${watch.lockWaits.length} looks`
      )
      .set('read positions refused for now', `${refused}`)
      .set('deadlocks', `${deadlocks}`)
  }
}
