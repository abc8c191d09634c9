import type { Scope } from './scope.ts'

/** Closes what was opened, the last first, whatever ends the run. May be called while things are still being opened. */
export class Lifetime implements Scope {
  readonly #closers: (() => unknown)[] = []
  #ending: Promise<void> | undefined

  teardown(close: () => unknown): void {
    this.#closers.push(close)
  }

  end(): Promise<void> {
    this.#ending ??= this.#end()
    return this.#ending
  }

  async #end(): Promise<void> {
    for (let close = this.#closers.pop(); close; close = this.#closers.pop()) {
      try {
        await close()
      } catch (error) {
        process.stderr.write(`while stopping: ${(error as Error).message}\n`)
      }
    }
    this.#ending = undefined
  }
}
