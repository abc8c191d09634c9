import type { Trial } from '../trial.ts'

/** Above what architecture.md promises (2 s), by what a busy machine needs to say it. */
const REFUSED_WITHIN_MS = 4_000

/**
 * Looks at an outage from outside: each gateway says in time that it may be tried again, and no send that was begun in it
 * is acknowledged. What the senders are answered meanwhile is in the history.
 *
 * @param mayRead what is away can be read from for moments, though not written to
 */
export async function expectRefusals(trial: Trial, what: string, { mayRead = false }: { mayRead?: boolean } = {}): Promise<void> {
  const begunAt = trial.history.now()
  const [who] = trial.world.senders
  const [conversation] = trial.world.conversationsOf(who!.org_id)
  for (let gateway = 0; gateway < trial.platform.gateways.length; gateway++) {
    const since = performance.now()
    const { status, body } = await trial.platform.client(who!, gateway).get(`/conversations/${conversation}/messages?limit=1`)
    const tookMs = performance.now() - since
    const isAnswered = mayRead && status === 200
    trial.expect(
      isAnswered || (status === 503 && body.code === 'unavailable'),
      `${what}: gateway ${gateway + 1} answered ${status} ${body.code}`
    )
    trial.expect(tookMs < REFUSED_WITHIN_MS, `${what}: gateway ${gateway + 1} took ${Math.round(tookMs)} ms to refuse`)
    const slowest = Math.max(tookMs, Number.parseFloat(trial.measured.get(REFUSED) ?? '0') * 1_000)
    trial.measured.set(REFUSED, `${(slowest / 1_000).toFixed(2)} s`)
  }
  trial.expect(!trial.load.isAcknowledgedSince(begunAt), `${what}: a send was acknowledged`)
}

const REFUSED = 'refused with 503 within'

/**
 * Notes what servers close connections with from here on; the answer, to be called at the end, says whether they closed any.
 * What is behind a gateway may come and go: its sockets stand.
 */
export function watchSockets(trial: Trial): () => void {
  const closedBy = () => {
    let count = 0
    // 1006: nobody said anything, as when a client ends its own connection without a word. Who connects just then is sent
    // away (1013), so those who come again by themselves do not count.
    for (const { closes } of trial.load.steadyReaders) for (const [code, times] of closes) if (code !== 1006) count += times
    return count
  }
  const before = closedBy()
  return () => trial.expect(closedBy() === before, `${closedBy() - before} sockets of readers were closed by a gateway`)
}
