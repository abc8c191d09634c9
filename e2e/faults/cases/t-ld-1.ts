import { until } from '@parley/test-kit'
import { quantile } from '../report.ts'
import { type FaultCase, killProcess } from '../trial.ts'
import { Crowd } from '../visitors/crowd.ts'
import { endWriters, inviteVisitors } from '../visitors/visitors.ts'
import { expectPoolBounds, sendTimes, watchDatabase } from '../visitors/watch.ts'

const PEOPLE_OF_ONE = 50
const RESUMED_MS = 30_000
const P99_GROWTH_MAX = 5
/** Five times a millisecond says something about the clock of the machine alone. */
const P99_LEAST_MS = 10

export const reconnectStorm: FaultCase = {
  id: 'T-LD-1',
  title: 'one of two gateways is killed with 2,000 sockets on it',
  pass: 'all resumed within 30 s; sends by the other gateway: p99 below 5 times that before; database connections within the pools',
  async run(trial) {
    const [people, socketsEach] = trial.isShort ? [100, 2] : [500, 4]
    const [killed, survivor] = trial.platform.gateways
    const visitors = await inviteVisitors(trial, people + 3)
    const [teller, ...probes] = visitors.people.slice(people)
    const comers = visitors.people.slice(0, people)
    const told = await visitors.startConversations(people / PEOPLE_OF_ONE, n => [
      teller!,
      ...comers.slice(n * PEOPLE_OF_ONE, (n + 1) * PEOPLE_OF_ONE)
    ])
    const quiet = await visitors.startConversation(probes, 'Probes')
    visitors.leave()

    const crowd = new Crowd(trial, visitors, comers, socketsEach, { gateway: () => 0, jitterMs: 1_000 })
    await crowd.start()
    const writers = await Promise.all([
      visitors.startWriter(teller!, { conversations: told, gateway: 1, rate: 10 }),
      ...probes.map(who => visitors.startWriter(who, { conversations: [quiet], gateway: 1, rate: 60 }))
    ])
    const [, ...probing] = writers
    const enough = trial.times(500, 150)
    const before = sendTimes(probing)
    await until(() => before.count() >= enough, { timeoutMs: 60_000, what: 'enough was sent before the storm' })
    const baseline = quantile(before.all(), 0.99)

    const watch = await watchDatabase(trial)
    const during = sendTimes(probing)
    let struckAt = 0
    let lastInStep = 0
    await trial.strike(`kill -9 ${killed!.name} under ${crowd.clients.length} sockets`, {
      kills: 1,
      async down() {
        struckAt = performance.now()
        await killProcess(killed!)
        await until(() => crowd.clients.every(client => !client.isInStep || client.at.inStep > client.at.lost), { what: 'the crowd knows' })
      },
      async up() {
        await crowd.inStep(RESUMED_MS)
        lastInStep = Math.max(...crowd.clients.map(({ at }) => at.inStep))
        await until(() => during.count() >= enough, { timeoutMs: 60_000, what: 'enough was sent since the storm began' })
        await killed!.start()
      }
    })
    await watch.end()
    await endWriters(writers)
    await crowd.expectWhole()

    // Who was not in step just then, or has lost a second connection since, has been waiting from the kill on.
    const lost = crowd.clients.map(({ at }) => Math.max(struckAt, at.lost))
    const times = crowd.clients.map(({ at }, n) => at.inStep - lost[n]!)
    const p99 = quantile(during.all(), 0.99)
    const growth = p99 / Math.max(P99_LEAST_MS, baseline)
    const begun = Math.min(...lost)
    trial.expect(lastInStep - begun <= RESUMED_MS, `the last was back after ${Math.round(lastInStep - begun)} ms`)
    trial.expectInTime(
      growth < P99_GROWTH_MAX,
      `sends by ${survivor!.name} took ${Math.round(p99)} ms (p99), before it ${Math.round(baseline)} ms`
    )
    expectPoolBounds(trial, watch)
    trial.measured
      .set('sockets', `${crowd.clients.length}`)
      .set(
        'resumed',
        `p50 ${Math.round(quantile(times, 0.5))} ms, p99 ${Math.round(quantile(times, 0.99))} ms, last ${Math.round(lastInStep - begun)} ms`
      )
      .set('p99 of sends by the other gateway', `${Math.round(p99)} ms, before ${Math.round(baseline)} ms`)
      .set('connections turned away', `${crowd.clients.reduce((sum, { closes }) => sum + closes.filter(code => code === 1013).length, 0)}`)
    await crowd.stop()
  }
}
