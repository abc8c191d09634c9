import { setTimeout as delay } from 'node:timers/promises'

const EVERY_MS = 10

/**
 * Waits for a fact, never for a time, and gives what it came to.
 *
 * @param what the fact as a sentence, for whoever reads the failure
 * @throws Error once the deadline has passed; its cause is what the fact threw last
 */
export async function until<T>(
  fact: () => T | Promise<T>,
  { timeoutMs = 10_000, what = 'the fact' }: { timeoutMs?: number; what?: string } = {}
): Promise<NonNullable<T>> {
  const deadline = Date.now() + timeoutMs
  for (;;) {
    let cause: unknown
    try {
      const value = await fact()
      if (value) return value
    } catch (error) {
      cause = error
    }
    if (Date.now() > deadline) throw new Error(`within ${timeoutMs} ms it did not come true: ${what}`, { cause })
    await delay(EVERY_MS)
  }
}
