import type { FastifyBaseLogger } from 'fastify'
import type { Durable } from './durable.ts'

interface Instrument {
  inc(labels: Record<string, string>, value?: number): void
  set(labels: Record<string, string>, value: number): void
}

/** The part of service-kit's metrics that consumers need. */
export interface ConsumerMetrics {
  counter(name: string, help: string, labels: string[]): Pick<Instrument, 'inc'>
  gauge(name: string, help: string, how: { labels: string[] }): Pick<Instrument, 'set'>
}

type Instruments = ReturnType<typeof instruments>

// A process may have several consumers, and a metric is registered once.
const known = new WeakMap<ConsumerMetrics, Instruments>()

function instruments(metrics: ConsumerMetrics) {
  const labels = ['consumer']
  return {
    events: metrics.counter('consumer_events_total', 'Events by what became of them: applied, known before, or dead.', [
      ...labels,
      'outcome'
    ]),
    redeliveries: metrics.counter('consumer_redeliveries_total', 'Messages that came again.', labels),
    failures: metrics.counter('consumer_failures_total', 'Times that an event could not be applied.', labels),
    restarts: metrics.counter('consumer_restarts_total', 'Times that a consumer or its subscription was made anew.', [...labels, 'cause']),
    lag: metrics.gauge('consumer_lag', 'Messages in the stream that were not delivered yet.', { labels }),
    unacknowledged: metrics.gauge('consumer_unacknowledged', 'Messages that are delivered and not yet acknowledged.', { labels }),
    dead: metrics.gauge('consumer_dead_letters', 'Dead letters that wait for somebody to look at them.', { labels }),
    paused: metrics.gauge('consumer_paused', '1 while a dependency of the effects is away.', { labels })
  }
}

/** What goes on is said again after this, and not each time it is met. */
const SAY_AGAIN_MS = 30_000

/** What a consumer tells of itself: metrics, and log lines that are worth reading at night. */
export class ConsumerWatch {
  readonly #metrics: Instruments
  readonly #log: FastifyBaseLogger
  readonly #consumer: string
  #pausedAt = 0
  #pauseLoggedAt = 0
  #unreachableLoggedAt = 0

  constructor(metrics: ConsumerMetrics, log: FastifyBaseLogger, consumer: string) {
    let made = known.get(metrics)
    if (!made) {
      made = instruments(metrics)
      known.set(metrics, made)
    }
    this.#metrics = made
    this.#consumer = consumer
    this.#log = log.child({ consumer })
    this.#metrics.paused.set({ consumer }, 0)
    for (const outcome of ['applied', 'known', 'dead']) this.#metrics.events.inc({ consumer, outcome }, 0)
  }

  get isPaused(): boolean {
    return this.#pausedAt > 0
  }

  started({ info, isNew }: Durable): void {
    this.state({ info, isNew: false })
    this.#log.info({ lag: info.num_pending, is_new: isNew, start_seq: info.config.opt_start_seq }, 'consumer started')
  }

  state({ info }: Durable, dead?: number): void {
    const { consumer } = this.#labels
    this.#metrics.lag.set({ consumer }, info.num_pending)
    this.#metrics.unacknowledged.set({ consumer }, info.num_ack_pending)
    if (dead !== undefined) this.#metrics.dead.set({ consumer }, dead)
  }

  remade({ info }: Durable): void {
    this.#metrics.restarts.inc({ ...this.#labels, cause: 'gone' })
    const { num_pending, config } = info
    this.#log.error({ lag: num_pending, start_seq: config.opt_start_seq }, 'the durable consumer was gone and is made anew')
  }

  silent(): void {
    this.#metrics.restarts.inc({ ...this.#labels, cause: 'silent' })
    this.#log.warn('the subscription was silent and is made anew')
  }

  unreachable(err: unknown): void {
    if (Date.now() - this.#unreachableLoggedAt < SAY_AGAIN_MS) return
    this.#unreachableLoggedAt = Date.now()
    this.#log.warn({ err }, 'the durable consumer could not be looked at')
  }

  redelivered(): void {
    this.#metrics.redeliveries.inc(this.#labels)
  }

  applied(fresh: number, known: number): void {
    if (fresh > 0) this.#metrics.events.inc({ ...this.#labels, outcome: 'applied' }, fresh)
    if (known > 0) this.#metrics.events.inc({ ...this.#labels, outcome: 'known' }, known)
  }

  batchFailed(err: unknown, events: number): void {
    this.#log.warn({ err, events }, 'a batch could not be applied and is tried event by event')
  }

  failed(err: unknown, facts: Record<string, unknown>): void {
    this.#metrics.failures.inc(this.#labels)
    this.#log.warn({ err, ...facts }, 'an event could not be applied and will come again')
  }

  buried(facts: Record<string, unknown>): void {
    this.#metrics.events.inc({ ...this.#labels, outcome: 'dead' })
    this.#log.error(facts, 'an event is put to the dead letters')
  }

  replayed(id: number, failure?: { reason: string; error: string }): void {
    if (failure) this.#log.warn({ letter: id, ...failure }, 'a dead letter failed again')
    else this.#log.info({ letter: id }, 'a dead letter was replayed')
  }

  paused(err: unknown): void {
    const now = Date.now()
    this.#pausedAt ||= now
    this.#metrics.paused.set(this.#labels, 1)
    if (now - this.#pauseLoggedAt < SAY_AGAIN_MS) return
    this.#pauseLoggedAt = now
    this.#log.warn({ err, paused_ms: now - this.#pausedAt }, 'the consumer waits: a dependency is away')
  }

  resumed(): void {
    if (this.#pausedAt === 0) return
    this.#log.info({ paused_ms: Date.now() - this.#pausedAt }, 'the consumer goes on')
    this.#pausedAt = 0
    this.#pauseLoggedAt = 0
    this.#metrics.paused.set(this.#labels, 0)
  }

  closed(givenBack: number): void {
    this.#log.info({ given_back: givenBack }, 'consumer closed')
  }

  get #labels(): { consumer: string } {
    return { consumer: this.#consumer }
  }
}
