/** From one seq to another, both included. */
export type Range = readonly [from: number, until: number]

/**
 * Which messages of a conversation a person sees: all but those that were said while they were away. Pages, totals and
 * cursors count what they see, so that a page is full and nobody is told how much they missed; a message's `seq` stays
 * what it is for everyone. For nearly everyone nothing is hidden, and both countings are the same.
 */
export class Visible {
  readonly #hidden: readonly Range[]
  /** How many they see in all. */
  readonly count: number

  /** @param hidden in order and apart from each other, all of them within the conversation */
  constructor(last_seq: number, hidden: readonly Range[]) {
    this.#hidden = hidden
    this.count = hidden.reduce((count, [from, until]) => count - (until - from + 1), last_seq)
  }

  sees(seq: number): boolean {
    return !this.#hidden.some(([from, until]) => from <= seq && seq <= until)
  }

  /** How many they see up to a seq. */
  upTo(seq: number): number {
    let count = seq
    for (const [from, until] of this.#hidden) {
      if (from > seq) break
      count -= Math.min(seq, until) - from + 1
    }
    return count
  }

  /** The seq of the nth message that they see. */
  seqOf(n: number): number {
    let seq = n
    for (const [from, until] of this.#hidden) {
      if (from > seq) break
      seq += until - from + 1
    }
    return seq
  }

  /** What they see from their nth message to another: the stretches between what is hidden, in order. */
  between(first: number, last: number): Range[] {
    if (last < first) return []
    const end = this.seqOf(last)
    const stretches: Range[] = []
    let start = this.seqOf(first)
    for (const [from, until] of this.#hidden) {
      if (from < start) continue
      if (from > end) break
      stretches.push([start, from - 1])
      start = until + 1
    }
    stretches.push([start, end])
    return stretches
  }
}
