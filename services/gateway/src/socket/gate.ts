import type { Connection } from './connection.ts'
import type { Room } from './room.ts'

const HELD_MAX_BYTES = 1024 * 1024

/**
 * Holds a connection's live frames back while it is put in step with the store, conversation by conversation, so that on
 * one connection versions only rise and none is passed over. Once put in step, frames that the client already has are
 * dropped until the live stream has passed that version.
 */
export class Gate {
  readonly #connection: Connection
  /** Conversations that are being put in step, with the frames that came meanwhile. */
  readonly #held = new Map<string, { version: number; frame: Buffer }[]>()
  /** The version that a conversation was put in step with: live frames up to it are known to the client. */
  readonly #known = new Map<string, number>()
  #bytes = 0

  constructor(connection: Connection) {
    this.#connection = connection
  }

  static of(connection: Connection): Gate {
    connection.gate ??= new Gate(connection)
    return connection.gate
  }

  hold(conversation_id: string): void {
    if (!this.#held.has(conversation_id)) this.#held.set(conversation_id, [])
  }

  /** A live frame for this connection: written, held or dropped. */
  pass(conversation_id: string, version: number, frame: Buffer): void {
    const held = this.#held.get(conversation_id)
    if (held) {
      held.push({ version, frame })
      this.#bytes += frame.length
      if (this.#bytes > HELD_MAX_BYTES) this.#connection.close('too_slow')
      return
    }
    const known = this.#known.get(conversation_id)
    if (known !== undefined) {
      if (version <= known) return
      this.#known.delete(conversation_id)
      this.#openIfIdle()
    }
    this.#connection.write(frame)
  }

  /** The client has a conversation up to a version: what was held beyond it follows. */
  release(room: Room, version: number): void {
    // What the room gathered in this turn is still on its way here: it is held with the rest.
    room.putOut()
    const held = this.#held.get(room.id)
    this.#held.delete(room.id)
    if ((room.version ?? 0) < version) this.#known.set(room.id, version)
    for (const late of held ?? []) {
      this.#bytes -= late.frame.length
      if (late.version > version) this.#connection.write(late.frame)
    }
    this.#openIfIdle()
  }

  /** These are not put in step after all: what was held goes out as it came. */
  giveUp(conversation_ids: Iterable<string>): void {
    for (const id of conversation_ids) {
      for (const { frame } of this.#held.get(id) ?? []) {
        this.#bytes -= frame.length
        this.#connection.write(frame)
      }
      this.#held.delete(id)
    }
    this.#openIfIdle()
  }

  #openIfIdle(): void {
    if (this.#held.size === 0 && this.#known.size === 0) this.#connection.gate = null
  }
}
