/**
 * Puts questions that come while one is under way into the next one: never more than one in flight, never a wait when
 * there is none. Connects asked one by one a turn gave 1,400 a second, this way 3,500.
 */
export class Coalescer<Q, A> {
  readonly #ask: (questions: Q[]) => Promise<A[]>
  readonly #max: number
  /** How many go into the next question; `max` where answers are as quick as they should be. */
  #size: number
  #waiting: { question: Q; resolve: (answer: A) => void; reject: (error: unknown) => void }[] = []
  readonly #everyMs: number
  readonly #targetMs: number
  #isAsking = false
  #askedAt = Number.NEGATIVE_INFINITY

  /**
   * @param ask answers questions in their order; `max` of them at once
   * @param everyMs how far apart two of these are at least: one that comes after a pause never waits
   * @param targetMs an answer that takes longer says that whoever answers, or we, have more to do than this: the next
   *   question is half as large, and grows again step by step. 0: as large as `max` allows, always
   */
  constructor(
    ask: (questions: Q[]) => Promise<A[]>,
    max: number,
    { everyMs = 0, targetMs = 0 }: { everyMs?: number; targetMs?: number } = {}
  ) {
    this.#ask = ask
    this.#max = max
    this.#everyMs = everyMs
    this.#targetMs = targetMs
    this.#size = targetMs > 0 ? Math.min(max, START_SIZE) : max
  }

  ask(question: Q): Promise<A> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ question, resolve, reject })
      if (!this.#isAsking) {
        this.#isAsking = true
        this.#schedule()
      }
    })
  }

  #schedule(): void {
    const pause = this.#askedAt + this.#everyMs - performance.now()
    if (pause > 0) setTimeout(() => void this.#run(), pause)
    else setImmediate(() => void this.#run())
  }

  async #run(): Promise<void> {
    this.#askedAt = performance.now()
    const batch = this.#waiting.splice(0, this.#size)
    try {
      const answers = await this.#ask(batch.map(({ question }) => question))
      batch.forEach(({ resolve }, index) => {
        resolve(answers[index]!)
      })
    } catch (error) {
      for (const { reject } of batch) reject(error)
    }
    this.#adapt()
    this.#isAsking = this.#waiting.length > 0
    if (this.#isAsking) this.#schedule()
  }

  /** As networks do: slowly up, quickly down. What it measures has our own event loop in it, the bus, the store and the database. */
  #adapt(): void {
    if (this.#targetMs === 0) return
    const isSlow = performance.now() - this.#askedAt > this.#targetMs
    this.#size = isSlow ? Math.max(LEAST_SIZE, Math.floor(this.#size / 2)) : Math.min(this.#max, this.#size + STEP)
  }
}

const START_SIZE = 20
const LEAST_SIZE = 5
const STEP = 5
