const LEAST_MS = 100
const MOST_MS = 1_000
/** Believed at first: we know nothing of the stores yet, and they are slowest when they have just begun. */
const FIRST_MS = 250
const TIMES = 2
const HALVED_EVERY_MS = 20_000

/**
 * How long to wait for an event that is missing before the store is asked for it: twice the longest that one of late was
 * late, at least 100 ms and at most 1,000. What was learned is believed half as much every 20 s. A hole that nothing fills
 * teaches nothing: where events are lost, patience stays short or becomes so, and they are fetched soon.
 *
 * A peak that fades, as in Finagle's PeakEwma, and not the mean and deviation of TCP's timer (RFC 6298): most holes fill
 * within 20 ms, and then, every few seconds, a batch is late by 100 to 300 ms; by then an average has forgotten the last one.
 * Of 2,854 holes at two busy gateways and stores 52 stayed longer than 100 ms, 38 longer than RFC 6298 would have waited,
 * 14 longer than this, and none with what is believed at first.
 *
 * One for a whole gateway: what makes events late, a store or a bus with too much to do, does so in all its conversations at
 * once, and one conversation alone would have seen too few to know.
 */
export class Patience {
  #longestMs = FIRST_MS
  #at: number

  /** @param now in ms, by the clock that the other calls go by as well */
  constructor(now: number) {
    this.#at = now
  }

  /** How long to wait, from now on, for what is missing. */
  ms(now: number): number {
    return Math.min(MOST_MS, Math.max(LEAST_MS, TIMES * this.#faded(now)))
  }

  /**
   * Something that was missing has come by itself. It counts as well where the store was asked for it meanwhile: that it
   * comes at all says that this was too soon. What comes later than we would ever wait was lost, and told once more.
   */
  learn(tookMs: number, now: number): void {
    if (tookMs > MOST_MS || tookMs <= this.#faded(now)) return
    // No more than it takes to wait for as long as we ever do: it would have to fade before patience can become shorter.
    this.#longestMs = Math.min(tookMs, MOST_MS / TIMES)
    this.#at = now
  }

  #faded(now: number): number {
    return this.#longestMs * 0.5 ** ((now - this.#at) / HALVED_EVERY_MS)
  }
}
