import {
  type Changes,
  check,
  GetHeads,
  HEADS_MAX,
  HealConversation,
  ORIGIN_HEADER,
  UserChanged,
  UserMoment,
  ViewersMoment
} from '@parley/contracts'
import type { Bus, Msg, Subscription } from '@parley/nats-kit'
import type { FastifyBaseLogger } from 'fastify'
import { Coalescer } from '../coalescer.ts'
import { CatchUp } from './catch-up.ts'
import type { Connection, PersonalMessage, Range } from './connection.ts'
import { textFrame, textOf } from './frame.ts'
import { Patience } from './patience.ts'
import { Room, type RoomOwner } from './room.ts'
import type { Turn } from './turn.ts'

export interface HubMetrics {
  held(): void
  healed(): void
}

const HEADS_EVERY_MS = 30_000
const HEAL_RETRY_MS = 500
const EVENT = 'evt'.charCodeAt(1)
/** What may come for a person while one of their sockets is let in. */
const EARLY_MAX = 1_000

export interface Person {
  readonly user_id: string
  readonly org_id: string
  readonly connections: Set<Connection>
  /** Undefined until the first of them is let in. */
  subscription: Subscription | undefined
}

/**
 * Conversations and people that this gateway has sockets for, and what is live between them. It follows only these, so
 * its traffic grows with its own clients and not with the whole system.
 */
export class Hub implements RoomOwner {
  readonly turn: Turn
  readonly patience = new Patience(performance.now())
  readonly catchUp: CatchUp
  readonly #bus: Bus
  readonly #log: FastifyBaseLogger
  readonly #metrics: HubMetrics
  readonly #rooms = new Map<string, Room>()
  readonly #people = new Map<string, Person>()
  readonly #heads: Coalescer<string, number | undefined>
  readonly #sweep: NodeJS.Timeout
  #isClosed = false
  #reconnects = 0

  constructor(bus: Bus, turn: Turn, log: FastifyBaseLogger, metrics: HubMetrics) {
    this.#bus = bus
    this.turn = turn
    this.#log = log
    this.#metrics = metrics
    this.catchUp = new CatchUp(bus, this, log)
    this.#heads = new Coalescer(async ids => {
      const versions = new Map((await bus.request(GetHeads, { conversation_ids: [...new Set(ids)] })).versions)
      return ids.map(id => versions.get(id))
    }, HEADS_MAX)
    // A lost last event has nothing after it that would show the hole.
    this.#sweep = setInterval(() => void this.#checkHeads(), HEADS_EVERY_MS)
    bus.onReconnect(() => void this.#catchUpWithBus())
  }

  /** Conversations that are followed, and sockets that are slow. */
  get size(): { conversations: number; slow: number } {
    let slow = 0
    for (const { connections } of this.#people.values()) for (const { gate } of connections) if (gate?.isSlow) slow++
    return { conversations: this.#rooms.size, slow }
  }

  connectionsOf(user_id: string, org_id: string): ReadonlySet<Connection> | undefined {
    return this.#people.get(org_id + user_id)?.connections
  }

  /** Ends the sockets of a person who may not be here any more. */
  revoke(user_id: string, org_id: string): void {
    for (const connection of [...(this.connectionsOf(user_id, org_id) ?? [])]) connection.close('revoked')
  }

  /** Forgets a connection; a conversation or person without any is no longer followed. */
  leave(connection: Connection): void {
    for (const room of [...connection.rooms.keys()]) this.leaveRoom(connection, room)
    const profile = connection.identity?.profile
    const key = profile ? profile.org_id + profile.id : ''
    const person = this.#people.get(key)
    if (!person) return
    person.connections.delete(connection)
    if (person.connections.size > 0) return
    person.subscription?.unsubscribe()
    this.#people.delete(key)
  }

  /** Takes a connection out of a conversation, without a word. */
  leaveRoom(connection: Connection, room: Room): void {
    this.unview(connection, room)
    room.connections.delete(connection)
    room.partial?.delete(connection)
    connection.rooms.delete(room)
    connection.hidden?.delete(room)
    connection.gate?.drop(room.id)
    if (room.connections.size > 0) return
    room.close()
    if (this.#rooms.get(room.id) === room) this.#rooms.delete(room.id)
  }

  /** A connection's person is not in a conversation any more since a version: it is told so, and nothing after it. */
  part(connection: Connection, room: Room, version: number): void {
    this.leaveRoom(connection, room)
    connection.send({ type: 'conversation_removed', conversation_id: room.id, version })
  }

  roomOf(connection: Connection, conversation_id: string): Room | undefined {
    const room = this.#rooms.get(conversation_id)
    return room && connection.rooms.has(room) ? room : undefined
  }

  /** A connection has a conversation open: it is told what is told to those alone. */
  async view(connection: Connection, room: Room): Promise<void> {
    room.viewers ??= new Set()
    room.viewers.add(connection)
    if (room.viewersSubscription) return
    room.viewersSubscription = this.#bus.subscribe(ViewersMoment.subject({ conversation_id: room.id }), ({ data }) =>
      room.receiveViewersMoment(data)
    )
    await this.#bus.flush()
  }

  unview(connection: Connection, room: Room): void {
    if (!room.viewers?.delete(connection) || room.viewers.size > 0) return
    room.viewersSubscription?.unsubscribe()
    room.viewersSubscription = undefined
    room.viewers = undefined
  }

  /** Counts a connection among its person's; what concerns them is heard from `hear` on. */
  followPerson(connection: Connection): void {
    const { id: user_id, org_id } = connection.identity!.profile
    const key = org_id + user_id
    let person = this.#people.get(key)
    if (!person) {
      person = { user_id, org_id, connections: new Set(), subscription: undefined }
      this.#people.set(key, person)
    }
    person.connections.add(connection)
  }

  /** Subscribes to what concerns a person of whom connections are here. */
  hear(user_id: string, org_id: string): void {
    const person = this.#people.get(org_id + user_id)
    if (!person) return
    const { connections } = person
    person.subscription ??= this.#bus.subscribe(`*.users.${org_id}.${user_id}`, message => this.#onPersonal(connections, message))
  }

  /**
   * @param version where the conversation is as the connection comes in
   * @param hidden what its person may not see
   */
  join(connection: Connection, conversation_id: string, version: number, hidden: readonly Range[] | undefined): Room {
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
    connection.rooms.set(room, version)
    if (hidden) {
      connection.hidden ??= new Map()
      connection.hidden.set(room, hidden)
      room.partial ??= new Set()
      room.partial.add(connection)
    }
    return room
  }

  /** Waits until the subscriptions of rooms stand, and learns where those conversations are. */
  async stand(rooms: readonly Room[]): Promise<void> {
    const fresh = rooms.filter(room => room.version === undefined)
    if (fresh.length === 0) return
    // What the bus hears of one connection it takes in order: once this is answered the subscriptions stand.
    await Promise.all(fresh.map(async room => room.stand((await this.#heads.ask(room.id)) ?? 0)))
  }

  #onPersonal(connections: ReadonlySet<Connection>, { subject, data, headers }: Msg): void {
    const message = readPersonal(subject, data, headers?.get(ORIGIN_HEADER))
    for (const connection of connections) {
      if (connection.isReady) this.#tell(connection, message)
      else {
        connection.early ??= []
        if (connection.early.push(message) > EARLY_MAX) connection.close('overloaded')
      }
    }
  }

  /** What concerned a person and came before they were let in. */
  tellEarly(connection: Connection): void {
    const early = connection.early ?? []
    connection.early = undefined
    for (const message of early) this.#tell(connection, message)
  }

  #tell(connection: Connection, message: PersonalMessage): void {
    if ('change' in message) {
      const { change } = message
      if (change.type === 'conversation_added') void this.catchUp.add(connection, change)
      else this.catchUp.remove(connection, change)
    } else if (message.origin !== connection.id) {
      if (!connection.gate?.isSlow) connection.write(message.moment)
      else connection.gate.unreadDropped.add(JSON.parse(textOf(message.moment)).conversation_id)
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
        const early = room.early
        const changes: Changes = await this.#bus.request(HealConversation, { conversation_id: room.id, since: room.version! })
        if (changes.version > room.version!) room.healWith(changes, textFrame(JSON.stringify({ type: 'sync', ...changes })))
        if (!changes.has_more) return room.disbelieve(early, changes.version)
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
            await new Promise(resolve => setTimeout(resolve, Math.max(HEAL_RETRY_MS, this.patience.ms(performance.now()))))
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
    await this.catchUp.afterBusReturn([...this.#people.values()]).catch(err => this.#log.warn({ err }, 'people were not put in step'))
  }

  close(): void {
    this.#isClosed = true
    clearInterval(this.#sweep)
    this.catchUp.close()
    for (const room of this.#rooms.values()) room.close()
    for (const person of this.#people.values()) person.subscription?.unsubscribe()
    this.#rooms.clear()
    this.#people.clear()
  }
}

/** @throws Error where it is none of those that a person is told: then nobody is */
function readPersonal(subject: string, data: Uint8Array, origin: string | undefined): PersonalMessage {
  const payload: unknown = JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString())
  if (subject.charCodeAt(1) === EVENT) {
    check(UserChanged.payload, payload)
    return { change: payload }
  }
  check(UserMoment.payload, payload)
  return { moment: textFrame(data), origin }
}
