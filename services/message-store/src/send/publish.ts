import { randomUUID } from 'node:crypto'
import { ConversationChanged } from '@parley/contracts'
import type { Bus, Subscription } from '@parley/nats-kit'

/** A batch whose acknowledgements are out. */
interface Unacknowledged {
  missing: number
  readonly since: number
}

/** Then the sweeper takes over; the stream has had its chance. */
const GIVE_UP_MS = 5_000
/** A message for NATS: far below the smallest usual limit of 1 MiB. */
const MESSAGE_MAX_BYTES = 512 * 1024

/** Under load the next batch's statement has deleted the row long before (a statement of its own each time: 5 % less). */
const DELETE_AFTER_MS = 50

const encoder = new TextEncoder()

/**
 * Puts what is committed into the stream. Publishing is light: with a reply inbox of one's own and acknowledgements
 * counted for each batch, never awaited one by one (the library's `js.publish` for each event costs a quarter of all
 * throughput, and 32 µs a message). No message ids: a publish may be repeated and grouped differently, so whoever
 * receives goes by version.
 */
export class Publisher {
  readonly #bus: Bus
  readonly #inbox: string
  readonly #subscription: Subscription
  readonly #unacknowledged = new Map<string, Unacknowledged>()
  readonly #deleteRows: (batches: string[]) => Promise<void>
  #done: string[] = []
  #deleting: NodeJS.Timeout | undefined
  #isClosed = false
  readonly #timer: NodeJS.Timeout
  #acknowledgedAt = 0

  /** @param deleteRows deletes the outbox rows of batches that are done, where no next batch comes to do it */
  constructor(bus: Bus, deleteRows: (batches: string[]) => Promise<void>) {
    this.#bus = bus
    this.#deleteRows = deleteRows
    this.#inbox = `_INBOX.${randomUUID()}`
    this.#subscription = bus.subscribe(`${this.#inbox}.*`, ({ subject, data }) => this.#onAck(subject, data))
    this.#timer = setInterval(() => this.#giveUp(), 1_000)
  }

  /** Publishes the frames of a batch, one message a conversation (two where they are large). */
  publishConversations(batch: string, frames: ReadonlyMap<string, readonly string[]>): void {
    const messages: [subject: string, data: Uint8Array][] = []
    for (const [conversation_id, lines] of frames) {
      const subject = ConversationChanged.subject({ conversation_id })
      for (const data of joined(lines)) messages.push([subject, data])
    }
    this.publish(batch, messages)
  }

  /** Publishes messages that belong to one outbox row; the row is done when all are acknowledged. */
  publish(batch: string, messages: readonly (readonly [subject: string, data: Uint8Array])[]): void {
    if (this.#isClosed) return
    if (messages.length === 0) {
      this.#finish(batch)
      return
    }
    // Published again it waits behind the others, as its acknowledgements come after theirs.
    this.#unacknowledged.delete(batch)
    this.#unacknowledged.set(batch, { missing: messages.length, since: Date.now() })
    const options = { reply: `${this.#inbox}.${batch}` }
    for (const [subject, data] of messages) this.#bus.connection.publish(subject, data, options)
  }

  #onAck(subject: string, data: Uint8Array): void {
    const batch = subject.slice(this.#inbox.length + 1)
    const waiting = this.#unacknowledged.get(batch)
    if (!waiting) return
    // An acknowledgement is {"stream":…,"seq":…}; a refusal {"error":…}, and with no stream there is nothing at all: then
    // the row stays for the sweeper.
    if (data.length === 0 || Buffer.from(data.buffer, data.byteOffset, data.length).includes('"error"')) {
      this.#unacknowledged.delete(batch)
      return
    }
    this.#acknowledgedAt = Date.now()
    waiting.missing--
    if (waiting.missing > 0) return
    // A stream acknowledges in its order: what was published before this and still waits, waits in vain.
    for (const earlier of this.#unacknowledged.keys()) {
      this.#unacknowledged.delete(earlier)
      if (earlier === batch) break
    }
    this.#finish(batch)
  }

  #finish(batch: string): void {
    this.#done.push(batch)
    this.#deleting ??= setTimeout(() => void this.#deleteDone(), DELETE_AFTER_MS)
  }

  async #deleteDone(): Promise<void> {
    this.#deleting = undefined
    const batches = this.takeDone()
    if (batches.length > 0) await this.#deleteRows(batches).catch(() => this.giveBack(batches))
  }

  #giveUp(): void {
    const before = Date.now() - GIVE_UP_MS
    // While acknowledgements come, the stream is still working through what it was given.
    if (this.#acknowledgedAt > before) return
    for (const [batch, { since }] of this.#unacknowledged) {
      if (since > before) break
      this.#unacknowledged.delete(batch)
    }
  }

  /** The batches that need no outbox row any more; the caller deletes them, or gives them back. */
  takeDone(): string[] {
    const done = this.#done
    this.#done = []
    return done
  }

  giveBack(batches: readonly string[]): void {
    this.#done.push(...batches)
  }

  get unacknowledged(): number {
    return this.#unacknowledged.size
  }

  /** How long the stream has owed an acknowledgement; 0 where it owes none. */
  get behindMs(): number {
    const oldest = this.#unacknowledged.values().next().value
    return oldest === undefined ? 0 : Date.now() - oldest.since
  }

  /** Waits a little for what is out; what stays is for the sweeper of whoever comes next. */
  async close(waitMs = 1_000): Promise<void> {
    const until = Date.now() + waitMs
    while (this.#unacknowledged.size > 0 && Date.now() < until && this.#bus.isConnected)
      await new Promise(resolve => setTimeout(resolve, 5))
    this.#isClosed = true
    clearInterval(this.#timer)
    clearTimeout(this.#deleting)
    await this.#deleteDone()
    this.#subscription.unsubscribe()
  }
}

function* joined(lines: readonly string[]): Generator<Uint8Array> {
  let from = 0
  let bytes = 0
  for (let i = 0; i < lines.length; i++) {
    const size = Buffer.byteLength(lines[i]!) + 1
    if (i > from && bytes + size > MESSAGE_MAX_BYTES) {
      yield encoder.encode(lines.slice(from, i).join('\n'))
      from = i
      bytes = 0
    }
    bytes += size
  }
  yield encoder.encode(lines.slice(from).join('\n'))
}
