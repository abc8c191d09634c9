import { AppError } from '@parley/contracts'

/** Who comes in or comes back, at once: what is beyond waits its turn, so that a storm meets the store one wave at a time. */
export const ADMITTED_MAX = 200
export const WAITING_MAX = 10_000
export const PATIENCE_MS = 2_000
const RETRY_AFTER_MS = 5_000

interface Waiting {
  enter: () => void
  timer: NodeJS.Timeout | undefined
}

/** Lets so much work be under way and no more; what waits too long, or finds too many waiting, is refused. */
export class Admission {
  readonly #max: number
  readonly #waitingMax: number
  readonly #waiting = new Set<Waiting>()
  #underWay = 0

  constructor(max = ADMITTED_MAX, waitingMax = WAITING_MAX) {
    this.#max = max
    this.#waitingMax = waitingMax
  }

  get size(): { underWay: number; waiting: number } {
    return { underWay: this.#underWay, waiting: this.#waiting.size }
  }

  /**
   * Runs work when its turn comes.
   *
   * @param patienceMs how long it may wait for that
   * @throws AppError unavailable, with when to come again; and whatever the work throws
   */
  async run<T>(work: () => Promise<T>, patienceMs = PATIENCE_MS): Promise<T> {
    if (this.#underWay < this.#max) this.#underWay++
    else await this.#turn(patienceMs)
    try {
      return await work()
    } finally {
      this.#passOn()
    }
  }

  #turn(patienceMs: number): Promise<void> {
    if (this.#waiting.size >= this.#waitingMax) throw busy()
    return new Promise((resolve, reject) => {
      const waiting: Waiting = { enter: resolve, timer: undefined }
      waiting.timer = setTimeout(() => {
        this.#waiting.delete(waiting)
        reject(busy())
      }, patienceMs)
      this.#waiting.add(waiting)
    })
  }

  /** The place goes to whoever waits longest. */
  #passOn(): void {
    const [next] = this.#waiting
    if (!next) {
      this.#underWay--
      return
    }
    this.#waiting.delete(next)
    clearTimeout(next.timer)
    next.enter()
  }

  /** Nobody waits any more: what waits is refused. */
  close(): void {
    for (const { timer } of this.#waiting) clearTimeout(timer)
    this.#waiting.clear()
  }
}

const busy = () => new AppError('unavailable', 'too many come at once; ask again', { retry_after_ms: RETRY_AFTER_MS })
