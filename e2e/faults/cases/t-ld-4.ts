import { setTimeout as delay } from 'node:timers/promises'
import { type Person, until } from '@parley/test-kit'
import { quantile } from '../report.ts'
import type { FaultCase, Trial } from '../trial.ts'
import { clientFrame, RawSocket } from '../visitors/raw-socket.ts'
import { inviteVisitors } from '../visitors/visitors.ts'
import { MemoryWatch, mebibytes, metricOf } from '../visitors/watch.ts'

const SOCKETS_OF_ONE = 20
const CLOSED_MS = 1_000
const WAIT_MS = 3_000
/** One that is told to go and does not is held no longer than this. */
const GONE_MS = 5_000 + 2_000
const HEAP_GROWTH_MAX = 20 * 1024 * 1024
const POLICY = 1008
const MALFORMED = 4003

const TEXT = 0x1
const CONTINUATION = 0x0
const PING = 0x9
const NOTHING = Buffer.alloc(0)
const BYTE = Buffer.from('a')

const repeated = (frame: Buffer, times: number): Buffer => Buffer.concat(Array.from({ length: times }, () => frame))

/** What a socket is flooded with, and which codes say so rightly. */
const FLOODS: { what: string; bytes: Buffer; codes: readonly number[] }[] = [
  {
    what: 'fragments of one byte that never end',
    bytes: Buffer.concat([clientFrame(TEXT, BYTE, false), repeated(clientFrame(CONTINUATION, BYTE, false), 16_000)]),
    codes: [POLICY]
  },
  {
    what: 'empty fragments that never end',
    bytes: Buffer.concat([clientFrame(TEXT, NOTHING, false), repeated(clientFrame(CONTINUATION, NOTHING, false), 16_000)]),
    codes: [POLICY]
  },
  { what: 'empty frames', bytes: repeated(clientFrame(TEXT, NOTHING), 16_000), codes: [POLICY, MALFORMED] },
  { what: 'pings', bytes: repeated(clientFrame(PING, Buffer.alloc(100)), 4_000), codes: [POLICY] }
]

export const floods: FaultCase = {
  id: 'T-LD-4',
  title: '200 sockets flood a gateway: fragments, empty fragments, empty frames, pings',
  pass: 'each is told 1008 (or 4003), or cut off, within 1 s; the heap grows by less than 20 MB',
  async run(trial) {
    const visitors = await inviteVisitors(trial, trial.times(10, 2))
    visitors.leave()
    for (const flood of FLOODS) await tryFlood(trial, visitors.people, flood)
  }
}

async function tryFlood(trial: Trial, people: readonly Person[], { what, bytes, codes }: (typeof FLOODS)[number]): Promise<void> {
  const { urls, gateways } = trial.platform
  const others = await metricOf(gateways[0]!, 'parley_sockets')
  const sockets = await Promise.all(
    people.flatMap(who =>
      Array.from({ length: SOCKETS_OF_ONE }, async () => {
        const raw = new RawSocket(urls[0]!)
        trial.scope.teardown(() => raw.destroy())
        await raw.upgrade(trial.platform.token(who))
        return raw
      })
    )
  )
  const before = await watchFor(trial, 1_000)
  const memory = new MemoryWatch(gateways[0]!)
  // In several writes, so that one socket's flood does not wait for another's to be written.
  const begins = sockets.map(() => 0)
  const size = Math.ceil(bytes.length / 16)
  for (let from = 0; from < bytes.length; from += size) {
    for (const [n, raw] of sockets.entries()) {
      begins[n] ||= performance.now()
      raw.write(bytes.subarray(from, from + size))
    }
    await new Promise(resolve => setImmediate(resolve))
  }
  const deadline = performance.now() + WAIT_MS
  while (sockets.some(({ endedAt }) => endedAt === 0) && performance.now() < deadline) await delay(5)
  await delay(500)
  await memory.end()
  const open = sockets.filter(({ endedAt }) => endedAt === 0)
  const times = sockets.flatMap(({ endedAt }, n) => (endedAt === 0 ? [] : [endedAt - begins[n]!]))
  const wrong = new Set(sockets.flatMap(({ code }) => (code === undefined || codes.includes(code) ? [] : [code])))
  const told = sockets.filter(({ code }) => code !== undefined).length
  if (!trial.isShort) {
    while (sockets.some(({ isOpen }) => isOpen) && performance.now() < deadline + GONE_MS) await delay(50)
    trial.expect(!sockets.some(({ isOpen }) => isOpen), `${what}: some were told to go, and their connections stand`)
  }
  for (const raw of sockets) raw.destroy()
  // Of one person only so many may come. Some of the load's own readers change gateways meanwhile.
  const coming = trial.load.readers.length + trial.load.guests.length
  await until(async () => (await metricOf(gateways[0]!, 'parley_sockets')) <= others + coming, {
    timeoutMs: GONE_MS,
    what: 'they are gone'
  })

  // The least that was in use: what is kept, and not what waits to be collected.
  const growth = Math.min(...memory.heap) - Math.min(...before.heap)
  trial.expect(open.length === 0, `${what}: ${open.length} of ${sockets.length} sockets were not closed`)
  trial.expect(wrong.size === 0, `${what}: closed with ${[...wrong].join(', ')}`)
  const latest = Math.max(0, ...times)
  trial.expectInTime(latest <= CLOSED_MS, `${what}: the last was closed after ${Math.round(latest)} ms`)
  trial.expect(growth < HEAP_GROWTH_MAX, `${what}: the heap grew by ${mebibytes(growth)} MiB`)
  trial.measured.set(
    what,
    `closed after p50 ${Math.round(quantile(times, 0.5))} ms, last ${Math.round(latest)} ms (${told} of ${sockets.length} were told a code); heap ${mebibytes(growth)} MiB, RSS ${mebibytes(Math.max(...memory.rss) - Math.max(...before.rss))} MiB`
  )
}

async function watchFor(trial: Trial, ms: number): Promise<MemoryWatch> {
  const memory = new MemoryWatch(trial.platform.gateways[0]!)
  await delay(ms)
  return memory.end()
}
