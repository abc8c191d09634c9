import { randomUUID } from 'node:crypto'
import type { Msg, NatsConnection, Subscription } from 'nats'
import { Incoming } from './incoming.ts'

const MESSAGES = 100
/** Above any message that the stream takes: one that fits into no request is never delivered. */
const BYTES = 10 * 1024 * 1024
/** The server ends a request after this; one that is not ended then is a subscription gone silent. */
const EXPIRES_MS = 4_000
const SILENT_AFTER_MS = EXPIRES_MS + 2_000
/** A refusal at once is followed by the next one: not as fast as both sides can. */
const REFUSED_WITHIN_MS = 100
const AFTER_REFUSAL_MS = 250

interface Request {
  readonly subscription: Subscription
  readonly silence: NodeJS.Timeout
  readonly since: number
  left: number
}

/**
 * Asks the server for messages, one bounded request at a time. Each has an inbox of its own and an end: the messages asked
 * for, a word of the server, or silence. The library's own loop was not taken because there silence after a reconnect
 * has to be noticed from outside.
 */
export class Pull {
  readonly #connection: NatsConnection
  readonly #subject: string
  readonly #onMessage: (message: Incoming) => void
  readonly #onEnd: (trouble: 'gone' | 'silent' | undefined) => void
  #request: Request | undefined
  #refused: NodeJS.Timeout | undefined

  /** @param onEnd after the last message of a request; `gone` where no consumer answers, `silent` where nothing does */
  constructor(
    connection: NatsConnection,
    { stream, consumer }: { stream: string; consumer: string },
    onMessage: (message: Incoming) => void,
    onEnd: (trouble: 'gone' | 'silent' | undefined) => void
  ) {
    this.#connection = connection
    this.#subject = `$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`
    this.#onMessage = onMessage
    this.#onEnd = onEnd
  }

  /** Asks for more, unless a request is still open. */
  next(): void {
    if (this.#request || this.#refused || this.#connection.isClosed()) return
    const inbox = `_INBOX.${randomUUID()}`
    const subscription = this.#connection.subscribe(inbox, {
      callback: (error, message) => {
        if (this.#request?.subscription !== subscription) {
          // It came while the request was given up: another process may have it at once.
          if (!error && Incoming.isOne(message)) new Incoming(message).nak(0)
        } else if (error) this.#end('gone')
        else this.#onAnswer(message)
      }
    })
    const silence = setTimeout(() => this.#end('silent'), SILENT_AFTER_MS)
    this.#request = { subscription, silence, since: Date.now(), left: MESSAGES }
    const body = JSON.stringify({ batch: MESSAGES, max_bytes: BYTES, expires: EXPIRES_MS * 1e6 })
    this.#connection.publish(this.#subject, body, { reply: inbox })
  }

  /** Gives up the open request, without a word about it. */
  async stop(): Promise<void> {
    const request = this.#request
    this.#request = undefined
    clearTimeout(request?.silence)
    clearTimeout(this.#refused)
    this.#refused = undefined
    await request?.subscription.drain().catch(() => {})
  }

  /** Gives up the open request and asks anew: after a reconnect the server knows nothing of it. */
  again(): void {
    void this.stop()
    this.next()
  }

  #onAnswer(message: Msg): void {
    if (Incoming.isOne(message)) {
      const request = this.#request!
      request.silence.refresh()
      request.left--
      this.#onMessage(new Incoming(message))
      if (request.left === 0) this.#end(undefined)
      return
    }
    const { code = 0, description = '' } = message.headers ?? {}
    // 404 and 408 end a request that brought less; 409 is told of what was deleted, and of limits that pass.
    const isGone = code === 503 || /deleted/i.test(description)
    if (code !== 100) this.#end(isGone ? 'gone' : undefined)
  }

  #end(trouble: 'gone' | 'silent' | undefined): void {
    const { subscription, silence, since, left } = this.#request!
    this.#request = undefined
    clearTimeout(silence)
    subscription.unsubscribe()
    if (left < MESSAGES || Date.now() - since > REFUSED_WITHIN_MS) return this.#onEnd(trouble)
    this.#refused = setTimeout(() => {
      this.#refused = undefined
      this.#onEnd(trouble)
    }, AFTER_REFUSAL_MS)
  }
}
