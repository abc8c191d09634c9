import type { FastifyBaseLogger } from 'fastify'
import type { Bus } from './bus.ts'
import { type ConsumerMetrics, ConsumerWatch } from './consumer-watch.ts'
import type { ConsumerInbox } from './dead-letters.ts'
import { DurableConsumer, STREAM } from './durable.ts'
import type { Incoming } from './incoming.ts'
import { Pull } from './pull.ts'
import { type Effect, type Patience, Work } from './work.ts'

/** What of a service a consumer needs; an app made by service-kit with nats-kit has all of it. */
export interface ConsumerHost {
  readonly bus: Bus
  readonly log: FastifyBaseLogger
  readonly metrics: ConsumerMetrics
  readonly health: { add(name: string, dependency: { needed: boolean; check: () => boolean }): void }
  addHook(name: 'onClose', hook: () => Promise<void>): unknown
}

export interface ConsumeOptions<Tx> extends Partial<Patience> {
  /** Names the consumer, and keeps what it has applied. */
  inbox: ConsumerInbox<Tx>
  /**
   * Does in `tx` what these changes call for, and nothing outside of it. They come sorted by conversation and version, each
   * once. A version may come after a later one of its conversation: one that failed meanwhile, or was never seen to be
   * missing; so what keeps a newest state compares versions.
   *
   * What it throws sends the event round again, and to the dead letters in the end; `unavailable` stands for something
   * that is away, and the consumer waits until it is back.
   */
  apply: Effect<Tx>
  /** How long the server waits for a word of a message; an effect that takes longer asks for more time meanwhile. */
  ackWaitMs?: number
}

const BATCH_MESSAGES = 100
const BATCH_BYTES = 1024 * 1024
const WATCH_EVERY_MS = 5_000
const REPLAY_EVERY_MS = 2_000
/** Between two tries of what waits for an earlier version. */
const HELD_RETRY_MS = 50
const AWAY_DELAYS_MS = [200, 400, 800, 1_600, 3_000, 5_000]
/** Then the messages are tried event by event: what looks like a dependency that is away may be one event's fault. */
const TRIES_TOGETHER = 3
const UNHEALTHY_AFTER_MS = 30_000

/**
 * Reads the log of changes as a durable consumer: each change has its effect exactly once, whatever dies, is repeated or
 * comes in another order. Processes that consume under one name share the work. Closing the app finishes the batch in
 * hand, acknowledges it and gives the rest back.
 *
 * @throws NatsError where the consumer cannot be made
 */
export async function consume<Tx>(app: ConsumerHost, options: ConsumeOptions<Tx>): Promise<Consumer<Tx>> {
  const consumer = new Consumer(app, options)
  await consumer.start()
  app.health.add(`consumer ${options.inbox.consumer}`, { needed: false, check: () => consumer.isHealthy })
  app.addHook('onClose', () => consumer.close())
  return consumer
}

/** One process's part of a durable consumer: one batch at a time, in the stream's order. */
export class Consumer<Tx> {
  readonly #bus: Bus
  readonly #inbox: ConsumerInbox<Tx>
  readonly #watch: ConsumerWatch
  readonly #durable: DurableConsumer
  readonly #pull: Pull
  readonly #work: Work<Tx>
  readonly #ackWaitMs: number
  /** Delivered, and not yet tried. */
  #queue: Incoming[] = []
  /** Tried, and waiting for an earlier version. */
  #held: Incoming[] = []
  #current: Incoming[] = []
  #seenAt = 0
  #replayedAt = 0
  #isClosing = false
  #wake: (() => void) | undefined
  #looking: Promise<void> | undefined
  #running: Promise<void> = Promise.resolve()
  readonly #timers: NodeJS.Timeout[] = []

  constructor({ bus, log, metrics }: ConsumerHost, options: ConsumeOptions<Tx>) {
    const { inbox, apply, ackWaitMs = 30_000, maxFailures = 8, firstDelayMs = 1_000 } = options
    this.#bus = bus
    this.#inbox = inbox
    this.#ackWaitMs = ackWaitMs
    this.#watch = new ConsumerWatch(metrics, log, inbox.consumer)
    this.#durable = new DurableConsumer(bus.connection, inbox.consumer, ackWaitMs)
    this.#work = new Work(inbox, apply, this.#watch, { maxFailures, firstDelayMs })
    this.#pull = new Pull(
      bus.connection,
      { stream: STREAM, consumer: inbox.consumer },
      message => this.#take(message),
      trouble => this.#onPulled(trouble)
    )
  }

  get isHealthy(): boolean {
    return !this.#watch.isPaused && Date.now() - this.#seenAt < UNHEALTHY_AFTER_MS
  }

  async start(): Promise<void> {
    this.#watch.started(await this.#durable.ensure())
    this.#seenAt = Date.now()
    this.#timers.push(
      setInterval(() => void this.#look(), WATCH_EVERY_MS),
      setInterval(() => this.#askForTime(), this.#ackWaitMs / 3)
    )
    this.#bus.onReconnect(() => {
      if (!this.#isClosing) this.#pull.again()
    })
    this.#pull.next()
    this.#running = this.#run()
  }

  /** Finishes the batch in hand and gives the rest back. */
  async close(): Promise<void> {
    if (this.#isClosing) return this.#running
    this.#isClosing = true
    for (const timer of this.#timers) clearInterval(timer)
    this.#wake?.()
    await Promise.all([this.#pull.stop(), this.#running, this.#looking])
    const left = [...this.#queue, ...this.#held, ...this.#current]
    for (const message of left) message.nak(0)
    await this.#bus.flush().catch(() => {})
    this.#watch.closed(left.length)
  }

  #take(message: Incoming): void {
    if (message.deliveries > 1) this.#watch.redelivered()
    this.#queue.push(message)
    this.#wake?.()
  }

  #onPulled(trouble: 'gone' | 'silent' | undefined): void {
    if (this.#isClosing) return
    if (trouble === 'silent' && this.#bus.isConnected) this.#watch.silent()
    if (trouble) void this.#look().finally(() => this.#askForMore())
    else this.#askForMore()
  }

  #askForMore(): void {
    // What waits here is bounded by one request; while the effects are held up it is not asked for more.
    if (!this.#isClosing && this.#queue.length === 0 && !this.#watch.isPaused) this.#pull.next()
  }

  /** The watchdog: whatever is missing on the server is made anew. One look at a time. */
  #look(): Promise<void> {
    this.#looking ??= this.#lookNow().finally(() => {
      this.#looking = undefined
    })
    return this.#looking
  }

  async #lookNow(): Promise<void> {
    if (!this.#bus.isConnected) return
    try {
      const durable = await this.#durable.ensure()
      this.#seenAt = Date.now()
      if (durable.isNew) {
        this.#watch.remade(durable)
        if (!this.#isClosing) this.#pull.again()
      }
      this.#watch.state(durable, await this.#inbox.countDead().catch(() => undefined))
    } catch (error) {
      this.#watch.unreachable(error)
    }
  }

  /** Whatever is in hand, however long that takes, must not go to somebody else meanwhile. */
  #askForTime(): void {
    if (this.#bus.isConnected) for (const message of [...this.#current, ...this.#queue, ...this.#held]) message.working()
  }

  async #run(): Promise<void> {
    while (!this.#isClosing) {
      await this.#replay()
      this.#current = this.#takeBatch()
      this.#askForMore()
      if (this.#current.length > 0) await this.#finish()
      if (this.#queue.length === 0) await this.#sleep(this.#held.length > 0 ? HELD_RETRY_MS : REPLAY_EVERY_MS)
    }
  }

  /** Tries the messages in hand until they are answered for, however long a dependency is away; or until the stop. */
  async #finish(): Promise<void> {
    for (let tries = 0; ; tries++) {
      try {
        this.#held.push(...(await this.#work.try(this.#current, { together: tries < TRIES_TOGETHER })))
        this.#current = []
        this.#watch.resumed()
        return
      } catch (error) {
        this.#watch.paused(error)
      }
      await this.#sleep(AWAY_DELAYS_MS[Math.min(tries, AWAY_DELAYS_MS.length - 1)]!, { unlessClosing: true })
      if (this.#isClosing) return
      // With others beside it, one event that alone finds something away is told from all that do.
      if (tries < TRIES_TOGETHER || this.#current.length >= BATCH_MESSAGES) continue
      if (this.#queue.length === 0) this.#pull.next()
      this.#current.push(...this.#takeBatch())
    }
  }

  /** What waited before, then what came. A message that comes again is tried alone: it may end the process. */
  #takeBatch(): Incoming[] {
    if (this.#queue[0] && this.#queue[0].deliveries > 1) return [this.#queue.shift()!]
    let count = 0
    let bytes = 0
    for (const { data, deliveries } of this.#queue) {
      if (deliveries > 1 || count === BATCH_MESSAGES || (count > 0 && bytes + data.length > BATCH_BYTES)) break
      bytes += data.length
      count++
    }
    return [...this.#held.splice(0), ...this.#queue.splice(0, count)]
  }

  async #replay(): Promise<void> {
    if (Date.now() - this.#replayedAt < REPLAY_EVERY_MS) return
    try {
      while (!this.#isClosing && (await this.#work.replayOne()));
    } catch {
      // Whatever is away is told by the next batch, and the letter is claimed again later.
    }
    this.#replayedAt = Date.now()
  }

  #sleep(ms: number, { unlessClosing = false } = {}): Promise<void> {
    if (this.#isClosing) return Promise.resolve()
    return new Promise(resolve => {
      const wake = () => {
        if (unlessClosing && !this.#isClosing) return
        clearTimeout(timer)
        this.#wake = undefined
        resolve()
      }
      const timer = setTimeout(() => {
        this.#wake = undefined
        resolve()
      }, ms)
      this.#wake = wake
    })
  }
}
