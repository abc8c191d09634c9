/** Two stores publish out of order as a matter of course: what came early waited 0.3 to 30 ms for all that was seen. */
const HOLE_PATIENCE_MS = 100
const MAX_BYTES = 1024 * 1024

/**
 * What came of one conversation before something that is missing. It is held until that comes; where it does not come in
 * time, or too much would have to be held meanwhile, the store has to be asked for it.
 */
export class Early {
  readonly #lines = new Map<number, Uint8Array>()
  readonly #onHole: () => void
  #bytes = 0
  #timer: NodeJS.Timeout | undefined
  /** The version that is missing, and that `#timer` runs for. */
  #missing: number | undefined

  /** @param onHole told when a hole has stayed for too long, and again where it stays after that and more comes */
  constructor(onHole: () => void) {
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

  /** Says where the conversation has got to: what is older is of no use any more, and what is missing next is waited for. */
  follow(version: number): void {
    for (const held of this.#lines.keys()) if (held <= version) this.drop(held)
    this.watch(version)
  }

  /**
   * Waits for what is missing behind this version, where something is. Each hole has its own patience: with two stores at
   * full load there is always one, and none of them stays.
   */
  watch(version: number): void {
    if (this.#timer && this.#missing === version + 1 && this.#lines.size > 0) return
    this.#stopWaiting()
    if (this.#lines.size === 0) return
    this.#missing = version + 1
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      if (this.#lines.size > 0) this.#onHole()
    }, HOLE_PATIENCE_MS)
  }

  #stopWaiting(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  /** Forgets everything, and waits for nothing. */
  clear(): void {
    this.#lines.clear()
    this.#bytes = 0
    this.#stopWaiting()
  }
}
