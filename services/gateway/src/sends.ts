import { AppError, type ErrorBody, SENDS_MAX, type Send, SendMessages, type StandingMessage } from '@parley/contracts'
import type { Bus } from '@parley/nats-kit'

/** A send's answer: the bytes of `{"message":…}` with or without `"duplicate":true`, or what it was refused with. */
export type SendAnswer = Buffer | AppError

const REQUEST_MAX_BYTES = 256 * 1024
const LINE_FEED = 0x0a
const CLOSING_BRACE = 0x7d
const ERROR_LINE = Buffer.from('{"error":')
const NOTHING = Buffer.alloc(0)
/** Where no store is there at this moment, one may be in the next. */
const RETRY_AFTER_MS = 100

interface Gathered {
  json: string
  key: object | undefined
  /** It carries a `client_message_id`: asked twice there is one message all the same. */
  isSafeTwice: boolean
  answer: (answer: SendAnswer) => void
}

/**
 * Gathers what was sent in one turn of the event loop into one request; its reply has a line for each, which is cut and
 * passed on without parsing. One request a send costs 22 µs more, a fifth of the throughput. `setImmediate` is the end of
 * the turn: all ready sockets have been read by then.
 *
 * What one connection sends stays in its order, also with several stores: its next sends wait for the answer of those
 * under way.
 *
 * Where a store dies with a request in its hands, another is asked once; what could so be stored twice, since it has no
 * `client_message_id`, is refused instead, to be tried again by who sent it.
 */
export class Sends {
  readonly #bus: Bus
  readonly #onRetry: (count: number) => void
  #gathered: Gathered[] = []
  #isScheduled = false
  readonly #busy = new Set<object>()
  #underWay = 0

  /** @param onRetry told how many sends are asked a second time */
  constructor(bus: Bus, onRetry: (count: number) => void = () => {}) {
    this.#bus = bus
    this.#onRetry = onRetry
  }

  /** @param key whoever must keep an order: a connection */
  send(send: Send, key: object | undefined, answer: (answer: SendAnswer) => void): void {
    this.#gathered.push({ json: JSON.stringify(send), key, isSafeTwice: send.client_message_id !== undefined, answer })
    this.#schedule()
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      this.#takeTurn()
    })
  }

  #takeTurn(): void {
    const batch: Gathered[] = []
    const later: Gathered[] = []
    const keptBack = new Set<object>()
    let bytes = 0
    let isFull = false
    for (const gathered of this.#gathered) {
      const { key, json } = gathered
      isFull ||= batch.length === SENDS_MAX || (batch.length > 0 && bytes + Buffer.byteLength(json) > REQUEST_MAX_BYTES)
      if (isFull || (key && (this.#busy.has(key) || keptBack.has(key)))) {
        later.push(gathered)
        if (key) keptBack.add(key)
        continue
      }
      batch.push(gathered)
      bytes += Buffer.byteLength(json)
    }
    for (const { key } of batch) if (key) this.#busy.add(key)
    this.#gathered = later
    if (isFull) this.#schedule()
    if (batch.length > 0) void this.#request(batch)
  }

  async #request(batch: readonly Gathered[]): Promise<void> {
    this.#underWay++
    let waiting = batch
    try {
      let reply: Buffer
      try {
        reply = await this.#ask(batch)
      } catch (error) {
        if (!isUnanswered(error) || !this.#bus.isConnected) throw error
        waiting = batch.filter(({ isSafeTwice }) => isSafeTwice)
        for (const { answer, isSafeTwice } of batch) if (!isSafeTwice) answer(error)
        if (waiting.length > 0) await new Promise(resolve => setTimeout(resolve, RETRY_AFTER_MS))
        this.#onRetry(waiting.length)
        reply = waiting.length > 0 ? await this.#ask(waiting) : NOTHING
      }
      passOn(reply, waiting)
    } catch (error) {
      const refusal = error instanceof AppError ? error : new AppError('internal', 'the message could not be sent', { cause: error })
      for (const { answer } of waiting) answer(refusal)
    } finally {
      this.#underWay--
      for (const { key } of batch) if (key) this.#busy.delete(key)
      if (this.#gathered.length > 0) this.#schedule()
    }
  }

  async #ask(batch: readonly Gathered[]): Promise<Buffer> {
    const reply = await this.#bus.relayBytes(SendMessages, Buffer.from(`{"sends":[${batch.map(({ json }) => json).join(',')}]}`))
    return Buffer.from(reply.buffer, reply.byteOffset, reply.byteLength)
  }

  /** Requests that are not answered yet, and sends that wait for one. */
  get inHand(): number {
    return this.#underWay + this.#gathered.length
  }
}

/** What stood already, parsed; undefined where it was stored just now, which is a look at one byte of the line. */
export function standingOf(line: Buffer): StandingMessage | undefined {
  // {"message":{…}} or {"message":{…},"duplicate":true}
  return line.at(-2) === CLOSING_BRACE ? undefined : (JSON.parse(line.toString()) as { message: StandingMessage }).message
}

function passOn(bytes: Buffer, batch: readonly Gathered[]): void {
  let from = 0
  for (const { answer } of batch) {
    const end = bytes.indexOf(LINE_FEED, from)
    const line = bytes.subarray(from, end === -1 ? undefined : end)
    from = end === -1 ? bytes.length : end + 1
    answer(line.length === 0 ? new AppError('internal', 'no answer') : toAnswer(line))
  }
}

/** Nobody answered, which is not the same as being refused. */
function isUnanswered(error: unknown): error is AppError {
  return error instanceof AppError && error.code === 'unavailable' && error.cause !== undefined
}

function toAnswer(line: Buffer): SendAnswer {
  if (line.subarray(0, ERROR_LINE.length).equals(ERROR_LINE)) {
    return AppError.from((JSON.parse(line.toString()) as { error: ErrorBody }).error)
  }
  return line
}
