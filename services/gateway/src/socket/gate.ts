import type { Connection } from './connection.ts'
import type { Change, Room } from './room.ts'

/** What is kept for a conversation that is being put in step; beyond that a `sync` brings it. */
const HELD_MAX_BYTES = 256 * 1024

interface Held {
  /** Up to here the client was told before. */
  since: number
  changes: Change[]
  /** Too much came: it is fetched instead of being kept. */
  isCut: boolean
}

/**
 * Holds a connection's live frames back while it is put in step with the store, conversation by conversation, so that on
 * one connection versions only rise and none is passed over. Once put in step, frames that the client already has are
 * dropped until the live stream has passed that version.
 *
 * Of a reader that is behind it keeps for each conversation only the version that it was given last.
 */
export class Gate {
  readonly #connection: Connection
  /** Conversations that are being put in step, with what came meanwhile. */
  readonly #held = new Map<string, Held>()
  /** The version that a conversation was put in step with: live frames up to it are known to the client. */
  readonly #known = new Map<string, number>()
  /** Conversations of which a `sync` is owed, from this version on. */
  readonly #owed = new Map<string, number>()
  #bytes = 0
  /** Passing frames are dropped. */
  isSlow = false
  /** Live frames are dropped as well, and owed. */
  isBehind = false
  /** Conversations whose `unread` was dropped. */
  readonly unreadDropped = new Set<string>()

  constructor(connection: Connection) {
    this.#connection = connection
  }

  static of(connection: Connection): Gate {
    connection.gate ??= new Gate(connection)
    return connection.gate
  }

  /** @param since what the client was told so far; nothing of a conversation that it only now comes into */
  hold(conversation_id: string, since: number): void {
    if (this.#held.has(conversation_id)) return
    // What is owed was dropped: it has to come from the store, like what is cut.
    const isCut = this.#owed.delete(conversation_id)
    this.#known.delete(conversation_id)
    this.#held.set(conversation_id, { since, changes: [], isCut })
  }

  /** A change for this connection: written, held, owed or dropped. */
  pass(room: Room, change: Change): void {
    const held = this.#held.get(room.id)
    if (held) return this.#keep(held, change)
    const known = this.#known.get(room.id)
    if (known !== undefined) {
      if (change.version <= known) return
      this.#known.delete(room.id)
    }
    if (this.#owed.has(room.id)) return
    const seen = room.asSeenBy(this.#connection, change)
    if (!seen) return this.owe(room, Math.max(known ?? 0, change.from))
    if (!this.isBehind && !this.#connection.hasRoomFor(seen.frame.length)) this.#connection.fallBehind()
    if (this.isBehind) this.#owed.set(room.id, Math.max(known ?? 0, change.from))
    else this.#connection.write(seen.frame)
  }

  #keep(held: Held, change: Change): void {
    if (held.isCut) return
    this.#bytes += change.frame.length
    held.changes.push(change)
    if (this.#bytes > HELD_MAX_BYTES) this.#cut(held)
  }

  #cut(held: Held): void {
    this.#forget(held)
    held.isCut = true
  }

  #forget(held: Held): void {
    for (const { frame } of held.changes) this.#bytes -= frame.length
    held.changes = []
  }

  isHeld(conversation_id: string): boolean {
    return this.#held.has(conversation_id)
  }

  /** The version up to which the client has been told of a conversation, or will be by what is owed. */
  toldOf(room: Room): number {
    return this.#owed.get(room.id) ?? Math.max(this.#known.get(room.id) ?? 0, room.told)
  }

  /**
   * The client has a conversation up to a version: what was held beyond it follows. Without a version it was told nothing
   * new, and what was held goes out as it came.
   */
  release(room: Room, version = 0): void {
    // What the room gathered in this turn is still on its way here: it is held with the rest.
    room.putOut()
    const held = this.#held.get(room.id)
    if (!held) return
    this.#held.delete(room.id)
    const told = Math.max(version, held.since)
    const { changes, isCut } = held
    this.#forget(held)
    if (room.told < told) this.#known.set(room.id, told)
    else if (isCut && room.told > told) this.owe(room, told)
    else
      room.giveTo(
        this.#connection,
        changes.filter(change => change.version > told)
      )
    this.openIfIdle()
  }

  /** A `sync` from a version on has to follow before anything newer. */
  owe({ id }: Room, version: number): void {
    const held = this.#held.get(id)
    if (held) this.#forget(held)
    const known = this.#known.get(id) ?? 0
    this.#held.delete(id)
    this.#known.delete(id)
    if (!this.#owed.has(id)) this.#owed.set(id, Math.max(version, known))
    this.#connection.onSlow?.(this.#connection)
  }

  /** Something was dropped that has to be made good. */
  get isInArrears(): boolean {
    return this.isSlow || this.#owed.size > 0 || this.unreadDropped.size > 0
  }

  /** Takes what is owed, `max` conversations at most, and holds these from here on. */
  takeOwed(max: number): Map<string, number> {
    const taken = new Map<string, number>()
    for (const [id, version] of this.#owed) {
      if (taken.size === max) break
      taken.set(id, version)
      this.#owed.delete(id)
      this.hold(id, version)
    }
    return taken
  }

  /** The connection does not follow this conversation any more. */
  drop(conversation_id: string): void {
    const held = this.#held.get(conversation_id)
    if (held) this.#forget(held)
    this.#held.delete(conversation_id)
    this.#known.delete(conversation_id)
    this.#owed.delete(conversation_id)
    this.unreadDropped.delete(conversation_id)
    this.openIfIdle()
  }

  /** A gate that holds nothing back is taken away: from there on it costs nothing. */
  openIfIdle(): void {
    if (this.isInArrears || this.#held.size > 0 || this.#known.size > 0) return
    if (this.#connection.gate === this) this.#connection.gate = null
  }
}
