/** Frames a client may send: 200 a second, 400 at once; far above any person, below a flood. */
export class FrameBudget {
  #left = 400
  #at = Date.now()

  /** @returns false where there is nothing left */
  take(): boolean {
    const now = Date.now()
    this.#left = Math.min(400, this.#left + ((now - this.#at) / 1_000) * 200)
    this.#at = now
    if (this.#left < 1) return false
    this.#left--
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
