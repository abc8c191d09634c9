const BUCKET_US = 20
const BUCKETS = 250_000

/** Durations in buckets of 20 µs up to 5 s; what is longer counts as that. */
export class Histogram {
  readonly #counts = new Uint32Array(BUCKETS)
  #total = 0

  add(us: number): void {
    const bucket = us < 0 ? 0 : Math.floor(us / BUCKET_US)
    this.#counts[bucket < BUCKETS ? bucket : BUCKETS - 1]!++
    this.#total++
  }

  /** The upper edge of the bucket in which a quantile lies, in milliseconds; 0 where there is nothing. */
  quantile(q: number): number {
    if (this.#total === 0) return 0
    let left = Math.max(1, Math.ceil(this.#total * q))
    let bucket = 0
    while (left > this.#counts[bucket]!) left -= this.#counts[bucket++]!
    return ((bucket + 1) * BUCKET_US) / 1_000
  }

  clear(): void {
    this.#counts.fill(0)
    this.#total = 0
  }
}
