import type { Socket } from 'node:net'
import {
  AppError,
  check,
  type ErrorBody,
  type EventContract,
  ORIGIN_HEADER,
  type ReplyOf,
  type RequestContract,
  type RequestOf
} from '@parley/contracts'
import type { FastifyBaseLogger } from 'fastify'
import { Events, headers, type Msg, type NatsConnection, NatsError, type Subscription } from 'nats'

/** What a service may have under way before it refuses more: a bound, far above what one process can do at once. */
const MAX_IN_HAND = 5_000
// The two headers of the NATS service convention; the body has the same as JSON.
const ERROR_CODE = 'Nats-Service-Error-Code'
const ERROR = 'Nats-Service-Error'

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** Subjects, requests and events over one connection. Counts the work in hand, so that a stop can wait for it. */
export class Bus {
  readonly connection: NatsConnection
  readonly #service: string
  readonly #log: FastifyBaseLogger
  readonly #serving: Subscription[] = []
  readonly #onReconnect = new Set<() => void>()
  #inHand = 0
  #idle: (() => void) | undefined
  #isConnected = true
  #gathering: Socket | undefined
  #flushing: Promise<void> | undefined
  #nextFlush: Promise<void> | undefined

  constructor(connection: NatsConnection, service: string, log: FastifyBaseLogger) {
    this.connection = connection
    this.#service = service
    this.#log = log
    void this.#watch()
  }

  get isConnected(): boolean {
    return this.#isConnected && !this.connection.isClosed()
  }

  /** The largest message that the server takes, in bytes. */
  get maxPayload(): number {
    return this.connection.info?.max_payload ?? 1024 * 1024
  }

  /** Calls back whenever the connection stands again: what was published in between did not arrive here. */
  onReconnect(callback: () => void): void {
    this.#onReconnect.add(callback)
  }

  async #watch(): Promise<void> {
    for await (const status of this.connection.status()) {
      if (status.type === Events.Disconnect) {
        this.#isConnected = false
        this.#log.warn('nats disconnected')
      } else if (status.type === Events.Reconnect) {
        this.#isConnected = true
        this.#log.info('nats reconnected')
        for (const callback of this.#onReconnect) callback()
      }
    }
  }

  /** Answers a request; one of all processes of this service gets it. What the handler throws becomes a typed error. */
  serve<C extends RequestContract>(contract: C, handler: (request: RequestOf<C>) => Promise<ReplyOf<C>>): void {
    this.serveBytes(contract, async data => {
      const request: unknown = JSON.parse(decoder.decode(data))
      check(contract.request, request)
      return JSON.stringify(await handler(request as RequestOf<C>))
    })
  }

  /** As `serve`, but for a handler that reads and writes the bytes itself. */
  serveBytes(contract: RequestContract, handler: (data: Uint8Array) => Promise<string | Uint8Array>): void {
    this.#serving.push(
      this.connection.subscribe(contract.subject, {
        queue: this.#service,
        callback: (error, message) => {
          if (error) this.#log.error({ err: error, subject: contract.subject }, 'subscription failed')
          else void this.#answer(contract, message, handler)
        }
      })
    )
  }

  async #answer(contract: RequestContract, message: Msg, handler: (data: Uint8Array) => Promise<string | Uint8Array>): Promise<void> {
    if (this.#inHand >= MAX_IN_HAND) return this.#refuse(message, new AppError('unavailable', 'too much work in hand'))
    this.#inHand++
    try {
      const reply = await handler(message.data)
      this.gather()
      message.respond(typeof reply === 'string' ? encoder.encode(reply) : reply)
    } catch (err) {
      if (err instanceof AppError) {
        this.#refuse(message, err)
      } else {
        this.#log.error({ err, subject: contract.subject }, 'request failed')
        this.#refuse(message, new AppError('internal', 'the request failed'))
      }
    } finally {
      this.#inHand--
      if (this.#inHand === 0) this.#idle?.()
    }
  }

  #refuse(message: Msg, error: AppError): void {
    const h = headers()
    h.set(ERROR_CODE, String(error.status))
    h.set(ERROR, error.code)
    message.respond(encoder.encode(JSON.stringify(error.toBody())), { headers: h })
  }

  /**
   * Asks, and waits for the one answer.
   *
   * @throws AppError whatever the owner threw; `unavailable` where nobody answers in time, or at once when NATS is away
   */
  async request<C extends RequestContract>(contract: C, request: RequestOf<C>): Promise<ReplyOf<C>> {
    return JSON.parse(decoder.decode(await this.relay(contract, request)))
  }

  /** As `request`, but gives the reply's bytes: for those who only pass it on. */
  relay<C extends RequestContract>(contract: C, request: RequestOf<C>): Promise<Uint8Array> {
    return this.relayBytes(contract, encoder.encode(JSON.stringify(request)))
  }

  async relayBytes(contract: RequestContract, data: Uint8Array): Promise<Uint8Array> {
    if (!this.isConnected) throw new AppError('unavailable', 'the message bus is away')
    if (data.byteLength > this.maxPayload) throw new AppError('too_large', 'the request is too large')
    let message: Msg
    try {
      message = await this.connection.request(contract.subject, data, { timeout: contract.timeoutMs })
    } catch (cause) {
      if (cause instanceof NatsError) throw new AppError('unavailable', `${contract.name} is not answered now`, { cause })
      throw cause
    }
    if (message.headers?.get(ERROR_CODE)) throw AppError.from(JSON.parse(decoder.decode(message.data)) as ErrorBody)
    return message.data
  }

  /**
   * What is published in the rest of this turn goes to the server in one write. The library writes after each microtask
   * and each 32 KiB, which is a dozen system calls for a batch and its replies. It has no means of its own for this, so it
   * is done at its socket, and left undone where that is not to be found.
   */
  gather(): void {
    const { transport } = (this.connection as unknown as { protocol: { transport?: { socket?: Socket } } }).protocol
    const socket = transport?.socket
    if (this.#gathering || !socket?.cork) return
    this.#gathering = socket
    socket.cork()
    setImmediate(() => {
      this.#gathering = undefined
      socket.uncork()
    })
  }

  /** Publishes what may be lost. Lasting changes go through the outbox instead. */
  publish<A extends string>(
    event: EventContract<A>,
    keys: Parameters<EventContract<A>['subject']>[0],
    payload: object,
    { origin }: { origin?: string | undefined } = {}
  ): void {
    const data = encoder.encode(JSON.stringify(payload))
    const h = origin === undefined ? undefined : headers()
    if (origin !== undefined) h?.set(ORIGIN_HEADER, origin)
    this.connection.publish(event.subject(keys), data, h && { headers: h })
  }

  /** What `onMessage` throws is a message that it cannot take: told in the log, and passed over. */
  subscribe(subject: string, onMessage: (message: Msg) => void): Subscription {
    this.gather()
    return this.connection.subscribe(subject, {
      callback: (error, message) => {
        if (error) return this.#log.error({ err: error, subject }, 'subscription failed')
        try {
          onMessage(message)
        } catch (err) {
          // The library reads its connection in this very call: what passes here ends that for all subscriptions.
          this.#log.error({ err, subject: message.subject, bytes: message.data.length }, 'a message could not be taken')
        }
      }
    })
  }

  /**
   * Resolves once the server knows of every subscription made so far: before it, events are missed (1,212 of 2,000
   * published right after a subscribe were lost). One round trip serves all that wait for it at the same time.
   */
  async flush(): Promise<void> {
    if (this.#flushing) {
      this.#nextFlush ??= this.#flushing.then(() => {
        this.#nextFlush = undefined
        return this.#flushNow()
      })
      return this.#nextFlush
    }
    return this.#flushNow()
  }

  #flushNow(): Promise<void> {
    this.#flushing = this.connection.flush().finally(() => {
      this.#flushing = undefined
    })
    return this.#flushing
  }

  /**
   * Takes no new requests and waits until those in hand have answered. The client's own `drain` does not wait for
   * asynchronous handlers.
   */
  async finish(): Promise<void> {
    await Promise.all(this.#serving.splice(0).map(subscription => subscription.drain().catch(() => {})))
    if (this.#inHand > 0) await new Promise<void>(resolve => (this.#idle = resolve))
    await this.flush().catch(() => {})
  }

  /** Finishes, then closes the connection. */
  async close(): Promise<void> {
    await this.finish()
    if (!this.connection.isClosed()) await this.connection.close()
  }
}
