import { createHash } from 'node:crypto'
import type { DeadLetter } from '@parley/contracts'
import { AppError, ChangeLog, check, type PayloadOf, parseJson } from '@parley/contracts'
import type { Msg } from 'nats'

/** One line of the log of changes, checked. */
export interface ChangeEvent {
  readonly conversation_id: string
  readonly version: number
  readonly frame: PayloadOf<typeof ChangeLog>
  /** Whether it may be left for a little while when a version before it has not come yet. */
  mayWait: boolean
  /** As it came, for a letter. */
  readonly line: string
}

/** A line, or a whole message, that is no event. */
export interface Fault {
  readonly payload: Uint8Array
  readonly reason: string
  readonly error: string
}

/** A publisher makes half of this; what is larger is not looked into. */
const MESSAGE_MAX_BYTES = 1024 * 1024
const ERROR_MAX = 500

const encoder = new TextEncoder()
// Bytes that are no UTF-8 must not become text that looks well.
const decoder = new TextDecoder('utf-8', { fatal: true })

const ACK = encoder.encode('+ACK')
const WORKING = encoder.encode('+WPI')

/** A message of the stream in hand: what it says, and the answer that is owed for it. */
export class Incoming {
  readonly stream: string
  readonly seq: number
  /** How often it was delivered, this time counted. */
  readonly deliveries: number
  readonly publishedAt: string
  readonly arrivedAt = Date.now()
  readonly #message: Msg
  #lines: { events: ChangeEvent[]; faults: Fault[] } | undefined

  constructor(message: Msg) {
    this.#message = message
    // $JS.ACK.[domain.account.]stream.consumer.deliveries.stream seq.consumer seq.time.pending
    const tokens = (message.reply ?? '').split('.')
    const at = tokens.length > 9 ? 4 : 2
    this.stream = tokens[at]!
    this.deliveries = Number(tokens[at + 2])
    this.seq = Number(tokens[at + 3])
    this.publishedAt = new Date(Number(tokens[at + 5]) / 1e6).toISOString()
  }

  /** Whether it is a message of a stream at all, and not a word of the server about a request. */
  static isOne(message: Msg): boolean {
    return message.reply?.startsWith('$JS.ACK.') === true
  }

  get subject(): string {
    return this.#message.subject
  }

  get data(): Uint8Array {
    return this.#message.data
  }

  get events(): ChangeEvent[] {
    return this.#read().events
  }

  get faults(): Fault[] {
    return this.#read().faults
  }

  /** Forgets what is put away as a letter: should the message be tried again, it is no part of it any more. */
  without(gone: ChangeEvent | Fault): void {
    const { events, faults } = this.#read()
    this.#lines = { events: events.filter(event => event !== gone), faults: faults.filter(fault => fault !== gone) }
  }

  ack(): void {
    this.#message.respond(ACK)
  }

  /** Gives it back, to come again after a while. */
  nak(delayMs: number): void {
    this.#message.respond(encoder.encode(`-NAK {"delay":${Math.round(delayMs * 1e6)}}`))
  }

  /** Asks for more time. */
  working(): void {
    this.#message.respond(WORKING)
  }

  letter({ payload, reason, error, key }: Fault & { key?: string }, first_failed_at: string): DeadLetter {
    const { subject, stream, seq: stream_seq, publishedAt: published_at, deliveries } = this
    return { key: key ?? hash(payload), reason, error, subject, stream, stream_seq, published_at, first_failed_at, deliveries, payload }
  }

  #read() {
    this.#lines ??= readLines(this.data)
    return this.#lines
  }
}

/** Reads the frames of a payload, one a line; each line that is none is a fault of its own, and the others count. */
export function readLines(payload: Uint8Array): { events: ChangeEvent[]; faults: Fault[] } {
  const events: ChangeEvent[] = []
  const faults: Fault[] = []
  if (payload.length > MESSAGE_MAX_BYTES) {
    const error = `${payload.length} bytes in one message, ${MESSAGE_MAX_BYTES} are read`
    return { events, faults: [{ payload, reason: 'too_large', error }] }
  }
  for (const bytes of linesOf(payload)) {
    try {
      events.push(readLine(decoder.decode(bytes)))
    } catch (error) {
      const reason = error instanceof AppError ? error.code : 'invalid_json'
      faults.push({ payload: bytes, reason, error: textOf(error) })
    }
  }
  return { events, faults }
}

function readLine(line: string): ChangeEvent {
  const frame = parseJson(line)
  // Said first and by name: of a union of frames the check itself can only say that it is none of them.
  const { type, version } = (frame ?? {}) as { type?: unknown; version?: unknown }
  if (!TYPES.has(type)) throw new AppError('invalid_request', `type ${short(type)} is no change that is known here`)
  if (!Number.isSafeInteger(version) || (version as number) < 1)
    throw new AppError('invalid_request', `version ${short(version)}: a change has a whole number from 1`)
  check(ChangeLog.payload, frame)
  return { conversation_id: frame.conversation_id, version: frame.version, frame, mayWait: false, line }
}

const TYPES = new Set<unknown>(ChangeLog.payload.anyOf.map(({ properties }) => properties.type.const))
const short = (value: unknown): string => `${JSON.stringify(value)}`.slice(0, 60)

function* linesOf(payload: Uint8Array): Generator<Uint8Array> {
  let from = 0
  while (from <= payload.length) {
    const end = payload.indexOf(0x0a, from)
    const to = end === -1 ? payload.length : end
    if (to > from || payload.length === 0) yield payload.subarray(from, to)
    from = to + 1
  }
}

/** Names an event that failed, so that its copies are known as the same one. */
export const keyOf = ({ conversation_id, version }: ChangeEvent): string => `${conversation_id}:${version}`

const hash = (payload: Uint8Array): string => createHash('sha256').update(payload).digest('hex')

/** What is said of an error in a letter: no stack, nothing a text column refuses, of bounded length. */
export function textOf(error: unknown): string {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  return text.replaceAll('\u0000', '').toWellFormed().slice(0, ERROR_MAX)
}
