import { check, MessageRead } from '@parley/contracts'
import { textFrame } from './frame.ts'

const EVERY_MS = 1_000

interface Reader {
  seq: number
  /** The newest position that was not told yet. */
  late: Buffer | undefined
}

/**
 * Read positions of one conversation on their way to its sockets: of one reader the first at once, then at most one a
 * second, the furthest. Here they multiply by the number of sockets, and here they meet, whichever store they come from.
 * Kept is one position for each who read within the last second.
 */
export class ReadPositions {
  readonly #tell: (frame: Buffer) => void
  readonly #readers = new Map<string, Reader>()
  readonly #timers = new Set<NodeJS.Timeout>()

  constructor(tell: (frame: Buffer) => void) {
    this.#tell = tell
  }

  /** @throws Error where it is no read position: then nobody is told of it */
  take(data: Uint8Array): void {
    const moment: unknown = JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString())
    check(MessageRead, moment)
    const { user_id, seq } = moment
    const reader = this.#readers.get(user_id)
    if (!reader) {
      this.#tell(textFrame(data))
      this.#watch(user_id, { seq, late: undefined })
    } else if (seq > reader.seq) {
      reader.seq = seq
      reader.late = textFrame(data)
    }
  }

  #watch(user_id: string, reader: Reader): void {
    this.#readers.set(user_id, reader)
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      const { late } = reader
      reader.late = undefined
      if (!late) return this.#readers.delete(user_id)
      this.#tell(late)
      this.#watch(user_id, reader)
    }, EVERY_MS)
    this.#timers.add(timer)
  }

  close(): void {
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
    this.#readers.clear()
  }
}
