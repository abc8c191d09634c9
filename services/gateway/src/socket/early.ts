import type { Patience } from './patience.ts'

const MAX_BYTES = 1024 * 1024

/** An event that is missing: something newer is here. */
interface Hole {
  version: number
  since: number
}

/**
 * What came of one conversation before something that is missing: two stores publish out of order as a matter of course.
 * It is held until that comes; where it does not come in time, or too much would have to be held meanwhile, the store has
 * to be asked for it.
 */
export class Early {
  readonly #lines = new Map<number, Uint8Array>()
  readonly #patience: Patience
  readonly #onHole: () => void
  #bytes = 0
  #timer: NodeJS.Timeout | undefined
  /** What is missing next. */
  #hole: Hole | undefined
  /** What the store was asked for last: it may come by itself yet. */
  #asked: Hole | undefined

  /** @param onHole told when a hole has stayed for too long, and again where it stays after that and more comes */
  constructor(patience: Patience, onHole: () => void) {
    this.#patience = patience
    this.#onHole = onHole
  }

  get size(): number {
    return this.#lines.size
  }

  get versions(): number[] {
    return [...this.#lines.keys()]
  }

  /** @returns false where it is held already */
  hold(version: number, line: Uint8Array): boolean {
    if (this.#lines.has(version)) return false
    this.#lines.set(version, line)
    this.#bytes += line.length
    if (this.#bytes <= MAX_BYTES) return true
    // More than that is fetched again instead of being kept.
    this.clear()
    this.#onHole()
    return true
  }

  /** Gives a version away, where it is held. */
  take(version: number): Uint8Array | undefined {
    const line = this.#lines.get(version)
    if (line) this.drop(version)
    return line
  }

  drop(version: number): void {
    this.#bytes -= this.#lines.get(version)?.length ?? 0
    this.#lines.delete(version)
  }

  /**
   * Says that a version has come that is not early: where it is one that was missing, patience learns how late it was. What
   * comes live and what the store answers are two things, so there is no guessing which of them it was that filled a hole.
   */
  came(version: number): void {
    if (version === this.#hole?.version) this.#learn(this.#hole)
    else if (version === this.#asked?.version) this.#learn(this.#asked)
  }

  #learn(hole: Hole): void {
    const now = performance.now()
    this.#patience.learn(now - hole.since, now)
    if (this.#hole === hole) this.#stopWaiting()
    if (this.#asked === hole) this.#asked = undefined
  }

  /** Says where the conversation has got to: what is older is of no use any more, and what is missing next is waited for. */
  follow(version: number): void {
    for (const held of this.#lines.keys()) if (held <= version) this.drop(held)
    this.watch(version)
  }

  /**
   * Waits for what is missing behind this version, where something is. Each hole has a time of its own: with two stores at
   * full load there is always one, and none of them stays.
   */
  watch(version: number): void {
    if (this.#lines.size === 0) return this.#stopWaiting()
    const now = performance.now()
    if (this.#hole?.version !== version + 1) {
      this.#stopWaiting()
      this.#hole = { version: version + 1, since: now }
    } else if (this.#timer) {
      return
    }
    const hole = this.#hole
    // Where we were late ourselves, what is missing may have arrived and only wait to be read: that comes first.
    this.#timer = setTimeout(() => setImmediate(() => this.#ask(hole)), this.#patience.ms(now))
  }

  #ask(hole: Hole): void {
    if (this.#hole !== hole) return
    this.#timer = undefined
    if (this.#lines.size === 0) return
    this.#asked = hole
    this.#onHole()
  }

  #stopWaiting(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#hole = undefined
  }

  /** Forgets everything, and waits for nothing. */
  clear(): void {
    this.#lines.clear()
    this.#bytes = 0
    this.#stopWaiting()
  }
}
