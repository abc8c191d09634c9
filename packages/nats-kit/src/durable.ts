import { ChangeLog, STREAMS } from '@parley/contracts'
import { AckPolicy, type ConsumerInfo, DeliverPolicy, type JetStreamManager, type NatsConnection, type NatsError } from 'nats'
import { ensureStreams } from './plugin.ts'

export const STREAM = STREAMS.find(({ subjects }) => subjects.some(subject => subject === ChangeLog.address))!.name

/**
 * Past this the server says nothing more of a message, and its effects would be missing: a bound for what nothing else
 * ends. A consumer puts a message away long before.
 */
const MAX_DELIVER = 1_000
/** In hand of all processes together. */
const MAX_ACK_PENDING = 1_000
const NOT_FOUND = 404

export interface Durable {
  readonly info: ConsumerInfo
  /** It was not there, and is now. */
  readonly isNew: boolean
}

/**
 * The durable consumer on the server: looks after it, and makes it anew where it or its stream is gone. A new one begins
 * where the last one was seen to be acknowledged, if the stream is still the same; otherwise with all there is. What was
 * applied before is known, so beginning too early costs time alone.
 */
export class DurableConsumer {
  readonly #connection: NatsConnection
  readonly #name: string
  readonly #ackWaitMs: number
  #manager: JetStreamManager | undefined
  #seen: { stream: string; floor: number } | undefined

  constructor(connection: NatsConnection, name: string, ackWaitMs: number) {
    this.#connection = connection
    this.#name = name
    this.#ackWaitMs = ackWaitMs
  }

  /**
   * Makes sure that it stands, with the settings of now. Safe to call by many at once.
   *
   * @throws NatsError where the server does not answer
   */
  async ensure(): Promise<Durable> {
    this.#manager ??= await this.#connection.jetstreamManager({ timeout: 3_000 })
    const found = await this.#find()
    const info = found ?? (await this.#make())
    const isOfOldSettings = found?.config.ack_wait !== this.#ackWaitMs * 1e6 || found.config.max_ack_pending !== MAX_ACK_PENDING
    if (found && isOfOldSettings) await this.#manager.consumers.update(STREAM, this.#name, this.#settings())
    // What is acknowledged says nothing about another stream of the same name.
    const stream = this.#seen && found ? this.#seen.stream : await this.#streamCreated()
    this.#seen = { stream, floor: info.ack_floor.stream_seq }
    return { info, isNew: !found }
  }

  async #find(): Promise<ConsumerInfo | undefined> {
    return this.#manager!.consumers.info(STREAM, this.#name).catch(error => {
      if (isNotFound(error)) return undefined
      throw error
    })
  }

  async #make(): Promise<ConsumerInfo> {
    const manager = this.#manager!
    const created = await this.#streamCreated().catch(async error => {
      if (!isNotFound(error)) throw error
      await ensureStreams(this.#connection)
      return this.#streamCreated()
    })
    const floor = this.#seen?.stream === created ? this.#seen.floor : 0
    const start =
      floor > 0 ? { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: floor + 1 } : { deliver_policy: DeliverPolicy.All }
    return manager.consumers
      .add(STREAM, {
        durable_name: this.#name,
        ack_policy: AckPolicy.Explicit,
        filter_subject: ChangeLog.address,
        ...start,
        ...this.#settings()
      })
      .catch(async error => {
        // Another process was quicker, and begins elsewhere.
        const made = await this.#find()
        if (made) return made
        throw error
      })
  }

  #settings() {
    return { ack_wait: this.#ackWaitMs * 1e6, max_deliver: MAX_DELIVER, max_ack_pending: MAX_ACK_PENDING }
  }

  async #streamCreated(): Promise<string> {
    const { created } = await this.#manager!.streams.info(STREAM)
    return `${created}`
  }
}

const isNotFound = (error: NatsError): boolean => error.api_error?.code === NOT_FOUND
