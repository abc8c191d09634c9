import { setTimeout as delay } from 'node:timers/promises'
import { type Person, until } from '@parley/test-kit'
import { Reader } from './client/reader.ts'
import { Sender } from './client/sender.ts'
import type { History } from './history.ts'
import type { FaultPlatform } from './platform.ts'
import type { Random } from './random.ts'
import type { World } from './world.ts'

export interface LoadOptions {
  /** Operations a second, all senders together, where the platform keeps up. */
  rate: number
  /** Unanswered operations of one sender. */
  inFlightMax: number
  /** Clients that do it wrong, for controls. */
  Sender?: typeof Sender
  Reader?: typeof Reader
}

export const USUAL_LOAD: LoadOptions = { rate: 480, inFlightMax: 24 }
/** Beside other tests, on a machine that has no more to give. */
export const SHORT_LOAD: LoadOptions = { rate: 120, inFlightMax: 8 }
const REST_SENDERS = 2
const RECONNECTING_READERS = 4
const BEFORE_LOAD_MS = 30_000
/** Above the longest that an operation may take to be known after the last fault. */
const FINISH_MS = 30_000

/** Senders that write until they are stopped, and readers that follow; some readers lose their connection at random. */
export class Load {
  readonly senders: Sender[]
  readonly readers: Reader[]
  /** They read as well, but are not waited for: at times there is nothing that they are in. */
  readonly guests: Reader[]
  readonly history: History
  #isOver = false
  #reconnecting: Promise<void> = Promise.resolve()

  constructor(platform: FaultPlatform, world: World, history: History, random: Random, options: LoadOptions) {
    this.history = history
    const { rate, inFlightMax } = options
    const Senders = options.Sender ?? Sender
    const Readers = options.Reader ?? Reader
    const doors = (who: Person) => {
      const token = platform.token(who)
      return { urls: platform.urls, token: () => token }
    }
    const guests = new Map(
      world.guests.map(({ id: user_id, org_id }) => {
        const conversation = world.cast.conversations.find(one => one.org_id === org_id)!
        // Who made it is its owner.
        return [conversation.members[0]!, { user_id, conv: conversation.id }]
      })
    )
    this.senders = world.senders.map((who, n) => {
      const proc = `s${n + 1}`
      return new Senders({
        proc,
        doors: doors(who),
        random: random.fork(proc),
        gateway: n,
        history,
        conversations: world.conversationsOf(who.org_id),
        mark: world.markOf(who.org_id),
        guest: guests.get(who.id),
        isRest: n >= world.senders.length - REST_SENDERS,
        rate: rate / world.senders.length,
        inFlightMax
      })
    })
    const begunAt = (key: string) => this.senders[Number(key.slice(1, key.indexOf('-'))) - 1]?.begunAt.get(key)
    const read = (kind: string) => (who: Person, n: number) => {
      const proc = `${kind}${n + 1}`
      return new Readers({
        proc,
        doors: doors(who),
        random: random.fork(proc),
        gateway: n,
        history,
        cast: world.cast,
        org_id: who.org_id,
        begunAt
      })
    }
    this.readers = world.readers.map(read('r'))
    this.guests = world.guests.map(read('g'))
  }

  /** Those that do not lose their connection by themselves. */
  get steadyReaders(): Reader[] {
    return this.readers.slice(0, -RECONNECTING_READERS)
  }

  get acknowledged(): number {
    return this.senders.reduce((sum, { acknowledged }) => sum + acknowledged, 0)
  }

  async start(): Promise<void> {
    for (const client of [...this.readers, ...this.guests, ...this.senders]) client.start()
    await until(() => this.readers.every(({ isInStep }) => isInStep) && this.senders.every(({ isReady }) => isReady), {
      timeoutMs: BEFORE_LOAD_MS,
      what: 'every client is connected and in step'
    })
    for (const sender of this.senders) sender.write()
    this.#reconnecting = this.#reconnectAtRandom()
  }

  async #reconnectAtRandom(): Promise<void> {
    const some = this.readers.slice(-RECONNECTING_READERS)
    while (!this.#isOver) {
      await delay(some[0]!.random.between(150, 700))
      // Never one that is still coming back: on a slow machine it would never arrive.
      const inStep = some.filter(({ isInStep }) => isInStep)
      if (inStep.length > 0) some[0]!.random.pick(inStep).drop()
    }
  }

  /** Resolves when that many more operations are acknowledged. */
  async more(count: number, forMs = 60_000): Promise<void> {
    const target = this.acknowledged + count
    await until(() => this.acknowledged >= target, { timeoutMs: forMs, what: `${count} more operations are acknowledged` })
  }

  /** Who is not back since a moment of the history: no send begun after it is acknowledged, or seen. */
  notBackSince(t: number): string[] {
    const senders = this.senders.filter(({ freshest }) => freshest < t)
    const readers = this.readers.filter(({ freshest }) => freshest < t)
    return [...senders, ...readers].map(({ proc }) => proc)
  }

  /** When a send was acknowledged that was begun after a moment. */
  isAcknowledgedSince(t: number): boolean {
    return this.senders.some(({ freshest }) => freshest >= t)
  }

  /** Ends the writing, and waits until what was begun has its answer. */
  async finish(): Promise<void> {
    this.#isOver = true
    await this.#reconnecting
    await Promise.all(this.senders.map(sender => sender.finish(FINISH_MS)))
  }

  /** Closes every connection. */
  async stop(): Promise<void> {
    this.#isOver = true
    await Promise.all([...this.senders, ...this.readers, ...this.guests].map(client => client.stop()))
  }
}
