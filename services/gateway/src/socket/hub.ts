import {
  type Changes,
  type ConversationAdded,
  CURSORS_MAX,
  GetHeads,
  HealConversation,
  type LiveState,
  OpenUsers,
  ORIGIN_HEADER,
  Sync
} from '@parley/contracts'
import type { Bus, Msg, Subscription } from '@parley/nats-kit'
import type { Static } from '@sinclair/typebox'
import type { FastifyBaseLogger } from 'fastify'
import { Coalescer } from '../coalescer.ts'
import type { Connection, PersonalMessage } from './connection.ts'
import { textFrame } from './frame.ts'
import { Gate } from './gate.ts'
import { Room, type RoomOwner } from './room.ts'
import type { Turn } from './turn.ts'

export interface HubMetrics {
  held(): void
  healed(): void
}

const HEADS_MAX = 1_000
const HEADS_EVERY_MS = 30_000
const HEAL_RETRY_MS = 500
const EVENT = 'evt'.charCodeAt(1)
/** What may come for a person while one of their sockets is let in. */
const EARLY_MAX = 1_000

interface Person {
  connections: Set<Connection>
  subscription: Subscription
}

/**
 * Conversations and people that this gateway has sockets for, and what is live between them. It follows only these, so
 * its traffic grows with its own clients and not with the whole system.
 */
export class Hub implements RoomOwner {
  readonly turn: Turn
  readonly #bus: Bus
  readonly #log: FastifyBaseLogger
  readonly #metrics: HubMetrics
  readonly #rooms = new Map<string, Room>()
  readonly #people = new Map<string, Person>()
  readonly #states: Coalescer<{ user_id: string; org_id: string }, LiveState>
  readonly #heads: Coalescer<string, number | undefined>
  readonly #sweep: NodeJS.Timeout
  #isClosed = false
  #reconnects = 0

  constructor(bus: Bus, turn: Turn, log: FastifyBaseLogger, metrics: HubMetrics) {
    this.#bus = bus
    this.turn = turn
    this.#log = log
    this.#metrics = metrics
    this.#states = new Coalescer(async users => (await bus.request(OpenUsers, { users })).states, 200)
    this.#heads = new Coalescer(async ids => {
      const versions = new Map((await bus.request(GetHeads, { conversation_ids: [...new Set(ids)] })).versions)
      return ids.map(id => versions.get(id))
    }, HEADS_MAX)
    // A lost last event has nothing after it that would show the hole.
    this.#sweep = setInterval(() => void this.#checkHeads(), HEADS_EVERY_MS)
    bus.onReconnect(() => void this.#catchUpWithBus())
  }

  get size(): { connections: number; conversations: number } {
    let connections = 0
    for (const person of this.#people.values()) connections += person.connections.size
    return { connections, conversations: this.#rooms.size }
  }

  connectionsOf(user_id: string, org_id: string): ReadonlySet<Connection> | undefined {
    return this.#people.get(org_id + user_id)?.connections
  }

  /**
   * Lets a connection follow its person and all their conversations.
   *
   * Resolves once the subscriptions stand: everything that is committed after the state it gives reaches the connection,
   * after what the caller sends in this turn. Live frames that came meanwhile are held; `open` lets them through.
   */
  async follow(connection: Connection): Promise<{ state: LiveState; open: () => void }> {
    const { id: user_id, org_id } = connection.identity!.profile
    this.#followPerson(connection, user_id, org_id)
    await this.#bus.flush()
    const gate = Gate.of(connection)
    const joined = new Map<string, Room>()
    let state: LiveState
    let isBehind: boolean
    do {
      state = await this.#states.ask({ user_id, org_id })
      if (!connection.isOpen) break
      const fresh = state.conversations.filter(({ id }) => !joined.has(id))
      for (const { id } of fresh) {
        gate.hold(id)
        joined.set(id, this.#join(connection, id))
      }
      await this.#stand(fresh.map(({ id }) => joined.get(id)!))
      // Others were given a newer version before this connection was among them: ask for a state that has it.
      isBehind = fresh.some(({ id, version }) => (joined.get(id)!.version ?? 0) > version)
    } while (isBehind)
    return {
      state,
      open: () => {
        connection.isReady = true
        for (const { id, version } of state.conversations) gate.release(joined.get(id)!, version)
        gate.giveUp(joined.keys())
        for (const message of connection.early.splice(0)) this.#tell(connection, message)
      }
    }
  }

  /** Forgets a connection; a conversation or person without any is no longer followed. */
  leave(connection: Connection): void {
    for (const room of connection.rooms) {
      room.connections.delete(connection)
      if (room.connections.size > 0) continue
      room.close()
      this.#rooms.delete(room.id)
    }
    connection.rooms.clear()
    const profile = connection.identity?.profile
    const key = profile ? profile.org_id + profile.id : ''
    const person = this.#people.get(key)
    if (!person) return
    person.connections.delete(connection)
    if (person.connections.size > 0) return
    person.subscription.unsubscribe()
    this.#people.delete(key)
  }

  roomOf(connection: Connection, conversation_id: string): Room | undefined {
    const room = this.#rooms.get(conversation_id)
    return room && connection.rooms.has(room) ? room : undefined
  }

  /**
   * Puts a connection in step: sends what changed since the versions that its client holds, before any newer live frame.
   *
   * @returns whether all of it was sent
   */
  async catchUp(connection: Connection, cursors: Record<string, number>): Promise<boolean> {
    const { id: user_id, org_id, role } = connection.identity!.profile
    const held = new Map(Object.entries(cursors).map(([id, version]) => [id.toLowerCase(), version]))
    const gate = Gate.of(connection)
    const all = [...held.keys()]
    for (const id of all) gate.hold(id)
    try {
      for (let rounds = 0; rounds < CATCH_UP_ROUNDS_MAX; rounds++) {
        const answer = await this.#bus.request(Sync, { actor: { user_id, org_id, role }, cursors: Object.fromEntries(held), added: false })
        for (const changes of answer.conversations) {
          connection.send({ type: 'sync', ...changes })
          held.set(changes.conversation_id, changes.version)
        }
        await connection.drained()
        if (!connection.isOpen) return false
        for (const id of answer.removed) held.delete(id)
        for (const id of answer.reset) held.delete(id)
        if (!answer.has_more) return answer.reset.length === 0 && answer.removed.length === 0
      }
      return false
    } finally {
      for (const [id, version] of held) {
        const room = this.#rooms.get(id)
        if (room) gate.release(room, version)
      }
      gate.giveUp(all)
    }
  }

  #followPerson(connection: Connection, user_id: string, org_id: string): void {
    const key = org_id + user_id
    let person = this.#people.get(key)
    if (!person) {
      const connections = new Set<Connection>()
      const subscription = this.#bus.subscribe(`*.users.${org_id}.${user_id}`, message => this.#onPersonal(connections, message))
      person = { connections, subscription }
      this.#people.set(key, person)
    }
    person.connections.add(connection)
  }

  #join(connection: Connection, conversation_id: string): Room {
    let room = this.#rooms.get(conversation_id)
    if (!room) {
      const opened = new Room(conversation_id, this)
      // Events and moments alike: `evt.conversations.<id>` and `eph.conversations.<id>`.
      opened.subscription = this.#bus.subscribe(`*.conversations.${conversation_id}`, ({ subject, data }) => {
        if (subject.charCodeAt(1) === EVENT) opened.receive(data)
        else opened.receiveMoment(data)
      })
      room = opened
      this.#rooms.set(conversation_id, opened)
    }
    room.connections.add(connection)
    connection.rooms.add(room)
    return room
  }

  /** Waits until the subscriptions of rooms stand, and learns where those conversations are. */
  async #stand(rooms: readonly Room[]): Promise<void> {
    const fresh = rooms.filter(room => room.version === undefined)
    if (fresh.length === 0) return
    await this.#bus.flush()
    await Promise.all(fresh.map(async room => room.stand((await this.#heads.ask(room.id)) ?? 0)))
  }

  #onPersonal(connections: ReadonlySet<Connection>, { subject, data, headers }: Msg): void {
    const message: PersonalMessage =
      subject.charCodeAt(1) === EVENT
        ? { added: JSON.parse(Buffer.from(data).toString()) }
        : { moment: textFrame(data), origin: headers?.get(ORIGIN_HEADER) }
    for (const connection of connections) {
      if (connection.isReady) this.#tell(connection, message)
      else if (connection.early.push(message) > EARLY_MAX) connection.close('overloaded')
    }
  }

  #tell(connection: Connection, message: PersonalMessage): void {
    if ('added' in message) {
      this.#add(connection, message.added).catch(err => this.#log.warn({ err }, 'a new conversation was not followed'))
    } else if (message.origin !== connection.id) {
      connection.write(message.moment)
    }
  }

  async #add(connection: Connection, event: Static<typeof ConversationAdded>): Promise<void> {
    const { conversation_id: id, version } = event
    if (this.roomOf(connection, id)) return
    const gate = Gate.of(connection)
    gate.hold(id)
    try {
      const room = this.#join(connection, id)
      await this.#stand([room])
      connection.send(event)
      if ((room.version ?? 0) <= version) gate.release(room, version)
      else await this.catchUp(connection, { [id]: version })
    } finally {
      gate.giveUp([id])
    }
  }

  heal(room: Room): void {
    if (room.isHealing) return
    room.isHealing = true
    void this.#heal(room).finally(() => {
      room.isHealing = false
    })
  }

  async #heal(room: Room): Promise<void> {
    this.#metrics.healed()
    while (!this.#isClosed && this.#rooms.get(room.id) === room) {
      try {
        const changes: Changes = await this.#bus.request(HealConversation, { conversation_id: room.id, since: room.version! })
        if (changes.version > room.version!) room.healWith(changes.version, textFrame(JSON.stringify({ type: 'sync', ...changes })))
        if (!changes.has_more) return
      } catch (err) {
        this.#log.warn({ err, conversation_id: room.id }, 'a hole could not be healed yet')
        await new Promise(resolve => setTimeout(resolve, HEAL_RETRY_MS))
      }
    }
  }

  onHeld(): void {
    this.#metrics.held()
  }

  /** @returns false where the store did not answer */
  async #checkHeads(): Promise<boolean> {
    try {
      await Promise.all(
        [...this.#rooms.values()].map(async room => {
          const head = await this.#heads.ask(room.id)
          // A moment's grace: the event of a change just made may be on its way.
          if (head !== undefined && room.version !== undefined && head > room.version) {
            await new Promise(resolve => setTimeout(resolve, HEAL_RETRY_MS))
            if (head > room.version) this.heal(room)
          }
        })
      )
      return true
    } catch (err) {
      this.#log.debug({ err }, 'heads were not compared')
      return false
    }
  }

  /** The bus was away: what was published meanwhile did not arrive, changes and new conversations alike. */
  async #catchUpWithBus(): Promise<void> {
    const reconnect = ++this.#reconnects
    // The store may come back later than we do.
    while (!(await this.#checkHeads())) {
      await new Promise(resolve => setTimeout(resolve, HEAL_RETRY_MS))
      if (this.#isClosed || reconnect !== this.#reconnects) return
    }
    for (const { connections } of this.#people.values()) {
      for (const connection of connections) {
        const { id: user_id, org_id, role } = connection.identity!.profile
        // With more conversations than one question carries, new ones show at the next connect.
        if (connection.rooms.size > CURSORS_MAX) continue
        const cursors = Object.fromEntries([...connection.rooms].map(room => [room.id, room.version ?? 0]))
        await this.#bus
          .request(Sync, { actor: { user_id, org_id, role }, cursors, added: true })
          .then(({ added }) =>
            Promise.all(
              added.map(conversation =>
                this.#add(connection, {
                  type: 'conversation_added',
                  conversation_id: conversation.id,
                  version: conversation.version,
                  conversation
                })
              )
            )
          )
          .catch(err => this.#log.warn({ err }, 'a person was not put in step after the bus came back'))
      }
    }
  }

  close(): void {
    this.#isClosed = true
    clearInterval(this.#sweep)
    for (const room of this.#rooms.values()) room.close()
    for (const person of this.#people.values()) person.subscription.unsubscribe()
    this.#rooms.clear()
    this.#people.clear()
  }
}

/** 500 objects a round: a client that missed more than this reads the histories anew. */
const CATCH_UP_ROUNDS_MAX = 1_000
