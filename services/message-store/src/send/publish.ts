import { randomUUID } from 'node:crypto'
import { ChangeLog, ConversationChanged } from '@parley/contracts'
import type { Bus, Subscription } from '@parley/nats-kit'
import { packLines } from './lines.ts'

/** A batch on its way into the stream. */
interface Told {
  readonly batch: string
  /** Its lines for the log; none where it concerns people alone. */
  readonly lines: readonly Uint8Array[]
  readonly bytes: number
  readonly since: number
}

/** Then the sweeper takes over; the stream has had its chance. */
const GIVE_UP_MS = 5_000
/** A message for NATS: far below the smallest usual limit of 1 MiB. */
const MESSAGE_MAX_BYTES = 512 * 1024
/** How long lines for the stream gather: each message to it is a flush of its disk, which others' commits may wait behind. */
const GATHER_MS = 20
/** What waits for a slow stream; beyond it the rows stay for the sweeper. */
const WAITING_MAX_BYTES = 16 * 1024 * 1024
/** Under load the next batch's statement has deleted the row long before (a statement of its own each time: 5 % less). */
const DELETE_AFTER_MS = 50

const LIVE = ConversationChanged.address.slice(0, ConversationChanged.address.indexOf('{'))

/**
 * Tells what is committed: at once to whoever listens, conversation by conversation, and into the stream for whoever reads
 * later. Nobody who is live waits for the stream, and it gets one message at a time: for a moment, and while one is under
 * way, the next gathers, whatever its conversations, so a slow disk means larger messages and not more flushes. With a
 * message for each conversation and batch the stream needed 26 µs of NATS a message and fell behind by thousands of flushes.
 *
 * No message ids: a publish may be repeated and grouped differently, so whoever receives goes by version.
 */
export class Publisher {
  readonly #bus: Bus
  readonly #inbox: string
  readonly #subscription: Subscription
  readonly #deleteRows: (batches: string[]) => Promise<void>
  #waiting: Told[] = []
  #waitingBytes = 0
  #underWay: Told[] = []
  #missing = 0
  /** Names what is under way: a late acknowledgement of what was given up counts for nothing else. */
  #step = 0
  #done: string[] = []
  #deleting: NodeJS.Timeout | undefined
  #gathering: NodeJS.Timeout | undefined
  #isClosed = false
  readonly #timer: NodeJS.Timeout

  /** @param deleteRows deletes the outbox rows of batches that are done, where no next batch comes to do it */
  constructor(bus: Bus, deleteRows: (batches: string[]) => Promise<void>) {
    this.#bus = bus
    this.#deleteRows = deleteRows
    this.#inbox = `_INBOX.${randomUUID()}`
    this.#subscription = bus.subscribe(`${this.#inbox}.*`, ({ subject, data }) => this.#onAck(subject, data))
    this.#timer = setInterval(() => this.#giveUp(Date.now() - GIVE_UP_MS), 1_000)
    // What was under way then may never have arrived.
    bus.onReconnect(() => this.#giveUp(Date.now()))
  }

  /** Publishes the frames of a batch, one message a conversation (two where they are large). */
  publishConversations(batch: string, frames: ReadonlyMap<string, readonly Uint8Array[]>): void {
    const messages: [subject: string, data: Uint8Array][] = []
    for (const [conversation_id, lines] of frames) {
      const subject = ConversationChanged.subject({ conversation_id })
      for (const data of packed(lines)) messages.push([subject, data])
    }
    this.publish(batch, messages)
  }

  /** Publishes messages that belong to one outbox row; the row is done when the stream has what it shall keep of them. */
  publish(batch: string, messages: readonly (readonly [subject: string, data: Uint8Array])[]): void {
    if (this.#isClosed) return
    this.#bus.gather()
    const lines: Uint8Array[] = []
    let bytes = 0
    for (const [subject, data] of messages) {
      this.#bus.connection.publish(subject, data)
      if (!subject.startsWith(LIVE)) continue
      lines.push(data)
      bytes += data.length + 1
    }
    if (this.#waitingBytes + bytes > WAITING_MAX_BYTES) return
    this.#waiting.push({ batch, lines, bytes, since: Date.now() })
    this.#waitingBytes += bytes
    this.#advanceSoon()
  }

  #advanceSoon(): void {
    if (this.#waitingBytes >= MESSAGE_MAX_BYTES) this.#advance()
    else if (this.#waiting.length > 0) this.#gathering ??= setTimeout(() => this.#advance(), GATHER_MS)
  }

  /** Sends the stream the next message, or a few where one batch is larger than a message may be. */
  #advance(): void {
    clearTimeout(this.#gathering)
    this.#gathering = undefined
    if (this.#underWay.length > 0 || this.#waiting.length === 0) return
    let count = 0
    let bytes = 0
    for (const told of this.#waiting) {
      if (count > 0 && bytes + told.bytes > MESSAGE_MAX_BYTES) break
      bytes += told.bytes
      count++
    }
    this.#underWay = this.#waiting.splice(0, count)
    this.#waitingBytes -= bytes
    this.#step++
    const messages = packed(this.#underWay.flatMap(({ lines }) => lines))
    if (messages.length === 0) return void this.#confirm(this.#step)
    this.#missing = messages.length
    this.#bus.gather()
    const options = { reply: `${this.#inbox}.${this.#step}` }
    for (const data of messages) this.#bus.connection.publish(ChangeLog.address, data, options)
  }

  /** Nothing for the stream: told as soon as the server has it. */
  async #confirm(step: number): Promise<void> {
    const isConfirmed = await this.#bus.flush().then(
      () => true,
      () => false
    )
    if (step === this.#step) this.#finish(isConfirmed)
  }

  #onAck(subject: string, data: Uint8Array): void {
    if (Number(subject.slice(this.#inbox.length + 1)) !== this.#step || this.#underWay.length === 0) return
    // An acknowledgement is {"stream":…,"seq":…}; a refusal {"error":…}, and with no stream there is nothing at all: then
    // the rows stay for the sweeper.
    const isRefused = data.length === 0 || Buffer.from(data.buffer, data.byteOffset, data.length).includes('"error"')
    this.#missing--
    if (isRefused) this.#finish(false)
    else if (this.#missing === 0) this.#finish(true)
  }

  #finish(isDone: boolean): void {
    if (isDone) {
      for (const { batch } of this.#underWay) this.#done.push(batch)
      this.#deleting ??= setTimeout(() => void this.#deleteDone(), DELETE_AFTER_MS)
    }
    this.#underWay = []
    this.#advanceSoon()
  }

  async #deleteDone(): Promise<void> {
    this.#deleting = undefined
    const batches = this.takeDone()
    if (batches.length > 0) await this.#deleteRows(batches).catch(() => this.giveBack(batches))
  }

  #giveUp(before: number): void {
    const [oldest] = this.#underWay
    if (oldest && oldest.since <= before) this.#finish(false)
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
    return this.#underWay.length + this.#waiting.length
  }

  /** How long the stream has owed an acknowledgement; 0 where it owes none. */
  get behindMs(): number {
    const oldest = this.#underWay[0] ?? this.#waiting[0]
    return oldest === undefined ? 0 : Date.now() - oldest.since
  }

  /** Waits a little for what is out; what stays is for the sweeper of whoever comes next. */
  async close(waitMs = 1_000): Promise<void> {
    const until = Date.now() + waitMs
    while (this.unacknowledged > 0 && Date.now() < until && this.#bus.isConnected) await new Promise(resolve => setTimeout(resolve, 5))
    this.#isClosed = true
    clearInterval(this.#timer)
    clearTimeout(this.#gathering)
    clearTimeout(this.#deleting)
    await this.#deleteDone()
    this.#subscription.unsubscribe()
  }
}

/** Lines put together, each group as large as a message may be at most. */
export const packed = (lines: readonly Uint8Array[]): Uint8Array[] => packLines(lines, MESSAGE_MAX_BYTES)
