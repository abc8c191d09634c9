import { setTimeout as delay } from 'node:timers/promises'
import { until } from '@parley/test-kit'
import { quantile } from '../report.ts'
import type { FaultCase } from '../trial.ts'
import { RawSocket } from '../visitors/raw-socket.ts'
import { inviteVisitors } from '../visitors/visitors.ts'
import { sendTimes } from '../visitors/watch.ts'

const UNAUTHENTICATED = 4001
const HEALTH_MS = 2_000
/** A byte so often: never idle, never done. */
const DRIP_MS = 500
/** The gateway looks for connections that are too slow every 5 s; and a busy machine is late. */
const LOOK_MS = 5_000 + 2_000

interface Kind {
  what: string
  count: number
  withinMs: number
  /** Not waited for in the short form. */
  isLong: boolean
  /** Told why before it is cut off, with this code. */
  code?: number
  begin(raw: RawSocket): Promise<void>
  drip: string
}

export const slowConnections: FaultCase = {
  id: 'T-LD-5',
  title: '1,000 connections with slow headers, slow bodies, or nothing to say',
  pass: 'each is closed within its limit; health and sends are answered meanwhile',
  async run(trial) {
    const { platform, load } = trial
    const visitors = await inviteVisitors(trial, 1)
    const token = platform.token(visitors.people[0]!)
    const count = trial.times(250, 25)
    const kinds: Kind[] = [
      { what: 'no token', count, withinMs: 5_000 + 1_500, isLong: false, code: UNAUTHENTICATED, begin: raw => raw.upgrade(), drip: '' },
      { what: 'silent', count, withinMs: 10_000 + LOOK_MS, isLong: true, begin: async () => {}, drip: '' },
      {
        what: 'slow headers',
        count,
        withinMs: 10_000 + LOOK_MS,
        isLong: true,
        begin: async raw => raw.write('GET /api/v1/me HTTP/1.1\r\nx-a: '),
        drip: 'a'
      },
      {
        what: 'slow body',
        count,
        withinMs: 30_000 + LOOK_MS,
        isLong: true,
        begin: async raw =>
          raw.write(
            `PATCH /api/v1/me HTTP/1.1\r\nhost: parley\r\nauthorization: Bearer ${token}\r\ncontent-type: application/json\r\ncontent-length: 10000\r\n\r\n{`
          ),
        drip: ' '
      }
    ]
    const quietTimes = sendTimes(load.senders)
    await load.more(trial.times(400, 100))
    const quiet = quantile(quietTimes.all(), 0.99)

    const times = sendTimes(load.senders)
    const opened = await Promise.all(
      kinds.map(async kind => {
        const sockets = Array.from({ length: kind.count }, () => new RawSocket(platform.urls[0]!))
        trial.scope.teardown(() => {
          for (const raw of sockets) raw.destroy()
        })
        await Promise.all(sockets.map(raw => kind.begin(raw)))
        return { ...kind, sockets }
      })
    )
    const isOver = () => opened.every(({ sockets, isLong }) => (isLong && trial.isShort) || sockets.every(({ endedAt }) => endedAt > 0))
    const dripping = (async () => {
      while (!isOver()) {
        for (const { sockets, drip } of opened) if (drip) for (const raw of sockets) raw.write(drip)
        await delay(DRIP_MS)
      }
    })()
    const health: number[] = []
    const deadline = Math.max(...kinds.filter(({ isLong }) => !isLong || !trial.isShort).map(({ withinMs }) => withinMs)) + 5_000
    const begun = performance.now()
    while (!isOver() && performance.now() - begun < deadline) {
      const asked = performance.now()
      const { status } = await visitors.ask(visitors.people[0]!, 'GET', '/health/ready')
      trial.expect(status === 200, `health was answered with ${status}`)
      health.push(performance.now() - asked)
      await delay(100)
    }
    for (const { what, sockets, withinMs, isLong, code } of opened) {
      if (isLong && trial.isShort) continue
      const open = sockets.filter(({ endedAt }) => endedAt === 0).length
      const lives = sockets.filter(({ endedAt }) => endedAt > 0).map(({ endedAt, openedAt }) => endedAt - openedAt)
      trial.expect(open === 0, `${what}: ${open} of ${sockets.length} were not closed`)
      trial.expectInTime(Math.max(0, ...lives) <= withinMs, `${what}: the last was closed after ${Math.round(Math.max(...lives))} ms`)
      trial.measured.set(
        what,
        `${sockets.length} closed after ${(Math.min(...lives) / 1_000).toFixed(1)} to ${(Math.max(...lives) / 1_000).toFixed(1)} s`
      )
      const others = sockets.filter(raw => raw.code !== code)
      trial.expect(code === undefined || others.length === 0, `${what}: ${others.length} were not closed with ${code}`)
    }
    for (const { sockets } of opened) for (const raw of sockets) raw.destroy()
    await until(isOver, { what: 'they are gone' }).catch(() => {})
    for (const { sockets } of opened) for (const raw of sockets) raw.closedAt ||= performance.now()
    await dripping
    visitors.leave()
    trial.expect(times.count() > 0, 'nothing was sent meanwhile')
    trial.expectInTime(Math.max(...health) <= HEALTH_MS, `health was answered after ${Math.round(Math.max(...health))} ms`)
    trial.measured
      .set('health meanwhile', `max ${Math.round(Math.max(...health))} ms`)
      .set('p99 of sends meanwhile', `${Math.round(quantile(times.all(), 0.99))} ms, before ${Math.round(quiet)} ms`)
  }
}
