import { openSocket, type Socket, until } from '@parley/test-kit'
import { type Link, startLink } from '../proxy.ts'
import { processCounts } from '../samples.ts'
import type { FaultCase, Trial } from '../trial.ts'

/** Who does not say who they are in time is closed, and given this long to answer the close. */
const UNKNOWN_MS = 5_000 + 5_000
/** A ping every 20 s; the third finds two unanswered. What came after the last ping that was answered counts as its answer. */
const HEARTBEAT_MS = 20_000
const REAPED_MS = 3 * HEARTBEAT_MS
const GRACE_MS = 5_000
const FDS = 8
/** What the load takes meanwhile for itself: 54 MiB in a minute and a half have been seen. */
const RSS_BYTES = 128 * 1024 ** 2

export const pulledCable: FaultCase = {
  id: 'T-NW-4',
  title: "clients' cables are pulled: no byte, no end, on sockets that are let in and on those that wait to be",
  pass: `the gateway gives up who has said nothing for ${REAPED_MS / 1_000} s (unknown ones: ${UNKNOWN_MS / 1_000} s); memory and file descriptors come back`,
  async run(trial) {
    const count = trial.times(200, 50)
    await pull(trial, { what: 'unknown', count, withinMs: UNKNOWN_MS, open: url => openSocket(url, '', { how: 'none' }) })
    if (trial.isShort) return
    const { readers } = trial.world
    let n = 0
    const open = (url: string) => {
      const who = readers[n++ % readers.length]!
      return openSocket(url, trial.platform.token(who), { how: 'header' })
    }
    await pull(trial, { what: 'let in', count: readers.length * 8, withinMs: REAPED_MS, open })
  }
}

interface Pull {
  what: string
  count: number
  withinMs: number
  open(url: string): Socket
}

async function pull(trial: Trial, { what, count, withinMs, open }: Pull): Promise<void> {
  const gateway = trial.platform.gateways[0]!
  const link = await startLink(trial.scope, gateway.url)
  const before = await processCounts(gateway.pid)
  let reaped = 0
  await trial.strike(`the cables of ${count} sockets are pulled (${what})`, {
    countFrom: 'up',
    async down() {
      const sockets = Array.from({ length: count }, () => open(link.url))
      trial.scope.teardown(() => sockets.map(socket => socket.kill()))
      await Promise.all(sockets.map(socket => (what === 'unknown' ? socket.opened : socket.ready)))
      link.both({ isSilent: true })
      const since = performance.now()
      await untilGone(gateway.pid, before.fds, withinMs + GRACE_MS, trial)
      reaped = performance.now() - since
      end(link, sockets)
    },
    async up() {
      link.heal()
    }
  })
  trial.measured.set(`all sockets that are ${what} are gone after`, `${(reaped / 1_000).toFixed(1)} s`)
  const after = await processCounts(gateway.pid)
  trial.measured.set(`memory above the beginning, ${what}`, `${Math.round((after.rss_bytes - before.rss_bytes) / 1024 ** 2)} MiB`)
  trial.expect(after.rss_bytes - before.rss_bytes < RSS_BYTES, `${what}: ${after.rss_bytes - before.rss_bytes} bytes more memory`)
}

/** The clients learn that it is over. */
function end(link: Link, sockets: readonly Socket[]): void {
  for (const socket of sockets) socket.kill()
  link.reset()
}

/** File descriptors tell of connections, whatever the gateway itself thinks it has. */
async function untilGone(pid: number, fds: number, withinMs: number, trial: Trial): Promise<void> {
  let last = 0
  await until(
    async () => {
      last = (await processCounts(pid)).fds
      return last <= fds + FDS
    },
    { timeoutMs: withinMs, what: 'no descriptor is left of the pulled ones' }
  ).catch(() => trial.expect(false, `${last - fds} descriptors more than before after ${withinMs} ms`))
}
