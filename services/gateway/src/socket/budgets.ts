/** Frames a client may send: 200 a second, 400 at once; far above any person, below a flood. */
export class FrameBudget {
  /** When it will be whole again, each frame taken putting it off by 5 ms. */
  #wholeAt = 0

  /** @returns false where there is nothing left */
  take(): boolean {
    const now = Date.now()
    const wholeAt = Math.max(this.#wholeAt, now) + 1_000 / 200
    if (wholeAt - now > 400 * (1_000 / 200)) return false
    this.#wholeAt = wholeAt
    return true
  }
}

const MALFORMED_MAX = 5
const WINDOW_MS = 60_000

/** Malformed frames: the fifth within a minute is one too many. */
export class MalformedBudget {
  #times: number[] = []

  /** @returns false for the fifth within a minute */
  take(): boolean {
    const now = Date.now()
    this.#times = this.#times.filter(time => time > now - WINDOW_MS)
    this.#times.push(now)
    return this.#times.length < MALFORMED_MAX
  }
}
