import { until } from '@parley/test-kit'
import { quantile } from '../report.ts'
import { processCounts } from '../samples.ts'
import type { FaultCase } from '../trial.ts'
import { Crowd } from '../visitors/crowd.ts'
import { endWriters, inviteVisitors } from '../visitors/visitors.ts'
import { MemoryWatch, mebibytes, metricOf, sendTimes } from '../visitors/watch.ts'

const SOCKETS_OF_ONE = 10
const MEBIBYTE = 1024 * 1024
/** Three bytes a character. */
const LONG_TEXT = '말'.repeat(4_900)
/** To one socket: what the kernel takes on a loopback connection, and then more than may wait in the gateway. */
const MESSAGES = 200
const AT_ONCE = 4
/** After 10 s without taking anything, looked at once a second. */
const EVICTED_MS = 14_000
const MEMORY_BACK_MS = 60_000
const TOO_SLOW = 4010

export const slowReaders: FaultCase = {
  id: 'T-LD-3',
  title: '500 clients in a busy conversation do not read',
  pass: 'at most 1 MiB a socket; put behind or closed with 4010, and then in step; memory returns to ± 10 %',
  async run(trial) {
    const people = trial.times(50, 5)
    const gateway = trial.platform.gateways[0]!
    const visitors = await inviteVisitors(trial, people + 3)
    const [talker, ...probes] = visitors.people.slice(people)
    const busy = await visitors.startConversation([talker!, ...visitors.people.slice(0, people)], 'Busy')
    const quiet = await visitors.startConversation(probes, 'Probes')
    visitors.leave()
    const crowd = new Crowd(trial, visitors, visitors.people.slice(0, people), SOCKETS_OF_ONE, { gateway: () => 0, stays: true })
    const talking = new Crowd(trial, visitors, [talker!], 1, { gateway: () => 1, stays: true })
    await Promise.all([crowd.start(), talking.start()])
    const writers = await Promise.all(probes.map(who => visitors.startWriter(who, { conversations: [quiet], gateway: 0, rate: 40 })))

    let said = 0
    const talk = async (count: number): Promise<number[]> => {
      const times = sendTimes(writers)
      const end = said + count
      const one = async () => {
        while (said < end) {
          const key = `${talking.clients[0]!.proc}-${++said}`
          trial.expect(await talking.clients[0]!.say(busy, key, `${visitors.mark} ${key} ${LONG_TEXT}`), `${key} was not acknowledged`)
        }
      }
      await Promise.all(Array.from({ length: AT_ONCE }, one))
      return times.all()
    }
    const rss = async () => (await processCounts(gateway.pid)).rss_bytes

    const without: number[] = []
    const withThem: number[] = []
    const peaks: number[] = []
    /** What the same traffic takes while everybody reads. */
    let baseline = 0
    const rounds = trial.times(3, 1)
    for (let round = 0; round < rounds; round++) {
      const before = new MemoryWatch(gateway)
      without.push(...(await talk(MESSAGES)))
      await crowd.inStep(60_000)
      await before.end()
      baseline = Math.max(...before.rss)
      const closes = crowd.clients.reduce((sum, client) => sum + client.closes.length, 0)
      const memory = new MemoryWatch(gateway)
      for (const client of crowd.clients) client.pause()
      withThem.push(...(await talk(MESSAGES)))
      if (!trial.isShort) {
        const others = trial.load.senders.length + trial.load.readers.length + writers.length
        // Whoever is not closed by then has all of it in the kernel's buffers: nothing of theirs waits in the gateway.
        await until(async () => (await metricOf(gateway, 'parley_sockets')) <= others, { timeoutMs: EVICTED_MS }).catch(() => undefined)
      }
      await memory.end()
      peaks.push((Math.max(...memory.rss) - baseline) / crowd.clients.length)
      for (const client of crowd.clients) client.resume()
      await crowd.inStep(60_000)
      const lost = crowd.clients.reduce((sum, client) => sum + client.closes.length, 0) - closes
      trial.measured.set('closed for it', `${lost} of ${crowd.clients.length}`)
    }
    await endWriters(writers)
    await crowd.expectWhole()
    const codes = new Set(crowd.clients.flatMap(({ closes }) => closes))
    for (const code of codes) trial.expect(code === TOO_SLOW || code === 1006, `a slow reader was closed with ${code}`)
    trial.expect(Math.max(...peaks) <= MEBIBYTE, `${mebibytes(Math.max(...peaks))} MiB a socket in ${gateway.name}`)
    await crowd.stop()
    // After one round the baseline is from before the heap had grown to what this traffic needs.
    const factor = trial.isShort ? 1.25 : 1.1
    const settled = await until(async () => (await rss()) <= baseline * factor, {
      timeoutMs: MEMORY_BACK_MS,
      what: 'memory is back'
    }).catch(() => false)
    trial.expect(settled, `${gateway.name} had ${mebibytes(baseline)} MiB, and has ${mebibytes(await rss())} MiB after them`)
    trial.measured
      .set('memory a slow socket', `${mebibytes(Math.max(...peaks))} MiB`)
      .set(
        "others' p99 with them to without",
        `${(quantile(withThem, 0.99) / quantile(without, 0.99)).toFixed(2)} (${Math.round(quantile(withThem, 0.99))} ms to ${Math.round(quantile(without, 0.99))} ms)`
      )
    await talking.stop()
  }
}
