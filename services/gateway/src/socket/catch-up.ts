import {
  AppError,
  type ConversationAdded,
  type ConversationRemoved,
  GetConversation,
  type LiveState,
  type Presented,
  Sync
} from '@parley/contracts'
import type { Bus } from '@parley/nats-kit'
import type { Static } from '@sinclair/typebox'
import type { FastifyBaseLogger } from 'fastify'
import { Admission } from './admission.ts'
import type { Connection, Range } from './connection.ts'
import { Gate } from './gate.ts'
import type { Hub, Person } from './hub.ts'
import { LiveStates, PEOPLE_MAX } from './live-states.ts'
import type { Room } from './room.ts'
import { pause, SLOW_PATIENCE_MS, SlowReaders } from './slow-readers.ts'

/** 500 objects a round: a client that missed more than this reads the histories anew. */
const ROUNDS_MAX = 1_000
/** What may wait to be put in step on one connection: one that does not drain is given no more. */
const TURNS_MAX = 1_000
/** New conversations that a person is told whole when the bus is back; of others they are told the id, and read them. */
const TOLD_WHOLE_MAX = 20

type Added = Static<typeof ConversationAdded>
type Removed = Static<typeof ConversationRemoved>

/** The state that a connection comes in with, and what lets live frames through to it. */
export interface Followed {
  state: LiveState
  open: () => void
}

/** What bringing a connection in step came to: conversations that are not its person's any more, or must be read anew. */
export interface Brought {
  isDone: boolean
  removed: string[]
  reset: string[]
}

/** What a client is told when its resume has come to its end. */
export interface Resumed {
  complete: boolean
  removed?: string[]
  reset?: string[]
}

/**
 * Puts connections in step with the store: when they come in, resume, come into a conversation, or were cut off from the bus together with us. Meanwhile their gate holds what is live. What concerns one
 * connection happens one after the other.
 */
export class CatchUp {
  readonly #bus: Bus
  readonly #hub: Hub
  readonly #log: FastifyBaseLogger
  readonly #states: LiveStates
  readonly #slowReaders: SlowReaders
  readonly admission = new Admission()

  constructor(bus: Bus, hub: Hub, log: FastifyBaseLogger) {
    this.#bus = bus
    this.#hub = hub
    this.#log = log
    this.#states = new LiveStates(bus, hub)
    this.#slowReaders = new SlowReaders(this, hub, this.#states, log)
  }

  /**
   * Lets a connection follow its person and all their conversations; whoever calls has had it wait for its `admission`. At
   * once it is among its person's sockets, and ends with them where they are deactivated.
   *
   * Resolves once the subscriptions stand: everything that is committed after the state it gives reaches the connection,
   * after what the caller sends in this turn. Live frames that came meanwhile are held; `open` lets them through.
   *
   * @param news the person's profile, where the store may not have it so yet: it has when this resolves
   * @throws AppError unavailable where the store is away, unauthenticated where the person was deactivated since
   */
  async follow(connection: Connection, news?: Presented): Promise<Followed> {
    const { id: user_id, org_id } = connection.identity!.profile
    connection.onSlow = this.#slowReaders.recoverLater
    this.#hub.followPerson(connection)
    const joined = new Map<string, Room>()
    let state: LiveState
    let isBehind: boolean
    do {
      state = await this.#states.of({ user_id, org_id, news })
      if (!connection.isOpen) break
      const fresh = state.conversations.filter(({ id }) => !joined.has(id))
      for (const { id, version, hidden } of fresh) {
        Gate.of(connection).hold(id, 0)
        joined.set(id, this.#hub.join(connection, id, version, hidden))
      }
      await this.#hub.stand(fresh.map(({ id }) => joined.get(id)!))
      // Others were given a newer version before this connection was among them: ask for a state that has it.
      isBehind = fresh.some(({ id, version }) => (joined.get(id)!.version ?? 0) > version)
    } while (isBehind)
    return {
      state,
      open: () => {
        connection.isReady = true
        const gate = Gate.of(connection)
        for (const { id, version } of state.conversations) {
          const room = joined.get(id)
          if (!room || !connection.rooms.has(room)) continue
          connection.rooms.set(room, version)
          gate.release(room, version)
          joined.delete(id)
        }
        // Those it was removed from in the meantime.
        for (const room of joined.values()) this.#hub.leaveRoom(connection, room)
        gate.openIfIdle()
        this.#hub.tellEarly(connection)
      }
    }
  }

  /**
   * Sends what changed since the versions that a client holds, before any newer live frame of those conversations.
   *
   * @throws AppError unavailable where the store is away, or too many come back at once
   */
  resume(connection: Connection, cursors: Record<string, number>): Promise<Resumed> {
    return this.inTurn(connection, async () => {
      const held = new Map(Object.entries(cursors).map(([id, version]) => [id.toLowerCase(), version]))
      const gate = Gate.of(connection)
      const rooms = [...held.keys()].flatMap(id => this.#hub.roomOf(connection, id) ?? [])
      for (const room of rooms) gate.hold(room.id, gate.toldOf(room))
      const reached = new Map<string, number>()
      try {
        const { isDone, removed, reset } = await this.bring(connection, held, reached)
        return {
          complete: isDone && removed.length + reset.length === 0,
          ...(removed.length > 0 && { removed }),
          ...(reset.length > 0 && { reset })
        }
      } finally {
        for (const room of rooms) gate.release(room, reached.get(room.id))
        gate.openIfIdle()
      }
    })
  }

  /** Tells a connection of a conversation that its person is in now, and lets it follow. */
  add(connection: Connection, event: Added): Promise<void> {
    return this.inTurn(connection, async () => {
      const hidden = await this.#hiddenFrom(connection, event)
      // It went while this waited: nobody would take it out of the conversation again.
      if (!connection.isOpen) return
      const { conversation_id: id, version } = event
      const before = this.#hub.roomOf(connection, id)
      if (before && (connection.gate?.toldOf(before) ?? before.told) >= version) return
      // They had gone before they came back, and the stream is yet to say so: what was said in between is not theirs.
      if (before) this.#hub.part(connection, before, version - 1)
      // Only now: a gate that has nothing more to hold after that is not the connection's any more.
      const gate = Gate.of(connection)
      gate.hold(id, version)
      const room = this.#hub.join(connection, id, version, hidden)
      await this.#untilDone(connection, () => this.#hub.stand([room]))
      if (!connection.rooms.has(room)) return gate.drop(id)
      connection.send(event)
      if ((room.version ?? 0) <= version) gate.release(room, version)
      else gate.owe(room, version)
    }).catch(err => this.#log.warn({ err, connection_id: connection.id }, 'a new conversation was not followed'))
  }

  /**
   * The room of a conversation for a connection that asks for it, once it stands. Where the store says that its person is in
   * it and we have not heard so yet, as of one made a moment ago, it is told here.
   *
   * @throws AppError conversation_not_found, not_a_participant; unavailable where it comes or goes at this moment
   */
  async roomFor(connection: Connection, conversation_id: string): Promise<Room> {
    if (!this.#hub.roomOf(connection, conversation_id)) {
      const { id: user_id, org_id, role } = connection.identity!.profile
      const conversation = await this.#bus.request(GetConversation, { actor: { user_id, org_id, role }, conversation_id })
      await this.add(connection, { type: 'conversation_added', conversation_id, version: conversation.version, conversation })
    }
    const room = this.#hub.roomOf(connection, conversation_id)
    if (room) await this.#hub.stand([room])
    if (!room || !connection.rooms.has(room)) throw new AppError('unavailable', 'the conversation comes or goes at this moment; ask again')
    return room
  }

  /** What a person who came into a conversation may not see of it; of a new one everybody sees everything. */
  async #hiddenFrom(connection: Connection, { conversation_id, version }: Added): Promise<readonly Range[] | undefined> {
    if (version === 1) return undefined
    const { id: user_id, org_id } = connection.identity!.profile
    const { conversations } = await this.#untilAnswered(new Set([connection]), () => this.#states.of({ user_id, org_id }))
    return conversations.find(({ id }) => id === conversation_id)?.hidden
  }

  /** A person is not in a conversation any more. One in which they came back since is left as it is. */
  remove(connection: Connection, { conversation_id, version }: Removed): void {
    const room = this.#hub.roomOf(connection, conversation_id)
    if (room && version > connection.rooms.get(room)!) this.#hub.part(connection, room, version)
  }

  /**
   * Asks for what changed until there is no more, and waits in between until the client has taken it.
   *
   * @param held what the client has; and then what it has been brought
   * @param reached the versions that it was brought to
   */
  async bring(connection: Connection, held: Map<string, number>, reached: Map<string, number>, patienceMs?: number): Promise<Brought> {
    const { id: user_id, org_id, role } = connection.identity!.profile
    const removed: string[] = []
    const reset: string[] = []
    for (let rounds = 0; rounds < ROUNDS_MAX; rounds++) {
      const followed = new Map(connection.rooms)
      const question = { actor: { user_id, org_id, role }, cursors: Object.fromEntries(held), added: false }
      const answer = await this.admission.run(() => this.#bus.request(Sync, question), patienceMs)
      // Of these it was told meanwhile that its person is not in them any more: nothing may follow that.
      const left = new Set([...followed].filter(([room, cameAt]) => connection.rooms.get(room) !== cameAt).map(([room]) => room.id))
      for (const changes of answer.conversations) {
        if (left.has(changes.conversation_id)) {
          held.delete(changes.conversation_id)
          continue
        }
        connection.send({ type: 'sync', ...changes })
        held.set(changes.conversation_id, changes.version)
        reached.set(changes.conversation_id, changes.version)
      }
      for (const id of answer.removed) {
        const room = this.#hub.roomOf(connection, id)
        const cameAt = room && followed.get(room)
        // Not where they came back since the question.
        if (room && cameAt !== undefined && cameAt === connection.rooms.get(room)) {
          this.#hub.part(connection, room, Math.max(cameAt, held.get(id)!))
        }
        held.delete(id)
        if (!this.#hub.roomOf(connection, id)) removed.push(id)
      }
      for (const id of answer.reset) held.delete(id)
      reset.push(...answer.reset)
      await connection.drained()
      if (!connection.isOpen) break
      if (!answer.has_more) return { isDone: true, removed, reset }
    }
    return { isDone: false, removed, reset }
  }

  /** The bus was away: brings people into conversations that came meanwhile, and out of those that went. */
  async afterBusReturn(people: readonly Person[]): Promise<void> {
    for (let from = 0; from < people.length; from += PEOPLE_MAX) {
      // Asked for together: their states come in one answer, and only what is new costs more.
      await Promise.all(people.slice(from, from + PEOPLE_MAX).map(person => this.#compare(person)))
    }
  }

  async #compare({ user_id, org_id, connections }: Person): Promise<void> {
    const followed = new Map([...connections].filter(({ isReady }) => isReady).map(connection => [connection, new Map(connection.rooms)]))
    if (followed.size === 0) return
    const { conversations } = await this.#untilAnswered(connections, () => this.#states.of({ user_id, org_id }))
    const present = new Set(conversations.map(({ id }) => id))
    for (const [connection, rooms] of followed) {
      for (const [room, cameAt] of rooms) {
        if (!present.has(room.id) && connection.rooms.get(room) === cameAt) this.#hub.part(connection, room, Math.max(cameAt, room.told))
      }
    }
    let told = 0
    for (const { id, version } of conversations) {
      const strangers = [...followed.keys()].filter(connection => connection.isOpen && !this.#hub.roomOf(connection, id))
      if (strangers.length === 0) continue
      const event = told++ < TOLD_WHOLE_MAX ? await this.#whole(strangers[0]!, id) : undefined
      for (const connection of strangers) {
        void this.add(connection, event ?? { type: 'conversation_added', conversation_id: id, version })
      }
    }
  }

  async #whole(connection: Connection, conversation_id: string): Promise<Added | undefined> {
    const { id: user_id, org_id, role } = connection.identity!.profile
    const conversation = await this.admission
      .run(() => this.#bus.request(GetConversation, { actor: { user_id, org_id, role }, conversation_id }), SLOW_PATIENCE_MS)
      .catch(() => undefined)
    return conversation && { type: 'conversation_added', conversation_id, version: conversation.version, conversation }
  }

  async #untilAnswered<T>(connections: ReadonlySet<Connection>, ask: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await ask()
      } catch (error) {
        // Nobody is there any more who would have to know.
        if (connections.size === 0) throw error
        this.#log.warn({ err: error }, 'a person was not put in step yet')
        await pause()
      }
    }
  }

  /** What puts one connection in step happens one after the other. */
  inTurn<T>(connection: Connection, work: () => Promise<T>): Promise<T> {
    if (++connection.turnsWaiting > TURNS_MAX) connection.close('too_slow')
    const turn = (connection.catchingUp ?? Promise.resolve()).then(work).finally(() => {
      connection.turnsWaiting--
    })
    connection.catchingUp = turn.catch(() => undefined)
    return turn
  }

  async #untilDone(connection: Connection, work: () => Promise<unknown>): Promise<void> {
    while (connection.isOpen) {
      try {
        await work()
        return
      } catch (err) {
        this.#log.warn({ err }, 'a connection was not put in step yet')
        await pause()
      }
    }
  }

  close(): void {
    this.admission.close()
  }
}
