import { setTimeout as delay } from 'node:timers/promises'
import { describeExit, type Exit, withPatience } from './process.ts'

/** Something that runs until it ends or is stopped. */
export interface Running {
  readonly pid: number
  readonly exited: Promise<Exit>
  stop(hurry?: AbortSignal): Promise<void>
}

export interface Supervision {
  name: string
  start: () => Promise<Running>
  /** Called with each new process, before anything else is done with it. */
  onStart: (pid: number) => Promise<void>
  /** Called with what a person should know: that it ended, that it cannot be started. */
  onTrouble: (text: string) => void
}

/** Who lived this long did not die of how it was started, and is started again at once. */
const STABLE_MS = 10_000
const FIRST_WAIT_MS = 200
const MAX_WAIT_MS = 5000
const ABANDON_MS = 3000

/** Keeps one process running: whenever it dies it is started again, later and later when it dies young. */
export class Supervised {
  readonly name: string
  readonly #supervision: Supervision
  readonly #stopping = new AbortController()
  #running: Running | undefined
  #loop: Promise<void> | undefined

  constructor(supervision: Supervision) {
    this.name = supervision.name
    this.#supervision = supervision
  }

  /**
   * Starts it for the first time.
   *
   * @throws what `start` throws; nothing is tried again yet
   */
  async start(): Promise<Running> {
    const started = this.#start()
    this.#loop = started.then(
      () => undefined,
      () => undefined
    )
    return started
  }

  /** Starts to restart it. Until then its death is the caller's matter. */
  keep(): void {
    this.#loop = this.#keep()
  }

  /** Ends it for good. @param hurry aborts the waiting for a polite end */
  async stop(hurry?: AbortSignal): Promise<void> {
    this.#stopping.abort()
    if (this.#running) await this.#running.stop(hurry)
    // A start that is under way ends in #start, as soon as there is a process to end; a download is not waited for.
    if (this.#loop) await withPatience(this.#loop, ABANDON_MS, hurry)
  }

  async #start(): Promise<Running> {
    const running = await this.#supervision.start()
    if (this.#stopping.signal.aborted) {
      await running.stop()
      throw new Error(`${this.name} was stopped while it started`)
    }
    this.#running = running
    await this.#supervision.onStart(running.pid)
    return running
  }

  async #keep(): Promise<void> {
    const { onTrouble } = this.#supervision
    let wait = FIRST_WAIT_MS
    let startedAt = Date.now()
    let trouble: string | undefined
    for (;;) {
      if (trouble === undefined) trouble = `ended (${describeExit(await this.#running!.exited)})`
      if (this.#stopping.signal.aborted) return
      const isStable = Date.now() - startedAt >= STABLE_MS
      if (isStable) wait = FIRST_WAIT_MS
      onTrouble(`${trouble}; starting it again${isStable ? '' : ` in ${wait / 1000} s`}`)
      if (!isStable) {
        await delay(wait, undefined, { signal: this.#stopping.signal }).catch(() => undefined)
        wait = Math.min(wait * 2, MAX_WAIT_MS)
      }
      if (this.#stopping.signal.aborted) return
      startedAt = Date.now()
      try {
        await this.#start()
        trouble = undefined
      } catch (error) {
        trouble = `could not be started: ${(error as Error).message}`
      }
    }
  }
}
