import { CURSORS_MAX } from '@parley/contracts'
import type { FastifyBaseLogger } from 'fastify'
import type { Brought, CatchUp } from './catch-up.ts'
import type { Connection } from './connection.ts'
import type { Gate } from './gate.ts'
import type { Hub } from './hub.ts'
import type { LiveStates } from './live-states.ts'

/** How long whoever is in already waits for its turn in a storm. */
export const SLOW_PATIENCE_MS = 10_000
const RETRY_MS = 500

/** The store was away a moment ago. */
export const pause = (): Promise<void> => new Promise(resolve => setTimeout(resolve, RETRY_MS))

/** Puts readers in step again whose live frames were dropped, because they did not take what they were sent. */
export class SlowReaders {
  readonly #catchUp: CatchUp
  readonly #hub: Hub
  readonly #states: LiveStates
  readonly #log: FastifyBaseLogger

  constructor(catchUp: CatchUp, hub: Hub, states: LiveStates, log: FastifyBaseLogger) {
    this.#catchUp = catchUp
    this.#hub = hub
    this.#states = states
    this.#log = log
  }

  /** One function for all: one made for each socket kept the whole state that it came in with. */
  readonly recoverLater = (connection: Connection): void => {
    if (connection.isRecovering) return
    connection.isRecovering = true
    void this.#catchUp
      .inTurn(connection, () => this.#recover(connection))
      .catch(err => {
        connection.isRecovering = false
        this.#log.error({ err, connection_id: connection.id }, 'a slow reader could not be put in step')
        connection.close('overloaded')
      })
  }

  /** Waits until a slow reader has taken what it was sent, then brings what it missed, until it has missed nothing. */
  async #recover(connection: Connection): Promise<void> {
    for (let gate = connection.gate; gate && connection.isOpen && gate.isInArrears; gate = connection.gate) {
      await connection.drained()
      gate.isSlow = false
      gate.isBehind = false
      const owed = gate.takeOwed(CURSORS_MAX)
      const isDone = (await this.#repay(connection, gate, owed)) && (await this.#tellUnread(connection, gate))
      gate.openIfIdle()
      if (!isDone && connection.isOpen) await pause()
    }
    connection.isRecovering = false
  }

  /** @returns false where it has to be tried again */
  async #repay(connection: Connection, gate: Gate, owed: ReadonlyMap<string, number>): Promise<boolean> {
    if (owed.size === 0) return true
    const reached = new Map<string, number>()
    const { isDone, reset } = await this.#catchUp.bring(connection, new Map(owed), reached, SLOW_PATIENCE_MS).catch((err): Brought => {
      this.#log.warn({ err, connection_id: connection.id }, 'a slow reader was not put in step yet')
      return { isDone: false, removed: [], reset: [] }
    })
    // The database is older than what we have told: the client reads everything anew.
    if (reset.length > 0) connection.close('restart')
    for (const [id, since] of owed) {
      const room = this.#hub.roomOf(connection, id)
      if (room && !isDone) gate.owe(room, reached.get(id) ?? since)
      else if (room) gate.release(room, reached.get(id))
    }
    return isDone
  }

  /** @returns false where it has to be tried again */
  async #tellUnread(connection: Connection, gate: Gate): Promise<boolean> {
    if (gate.unreadDropped.size === 0) return true
    const { id: user_id, org_id } = connection.identity!.profile
    const state = await this.#states.of({ user_id, org_id }).catch(() => undefined)
    if (!state) return false
    for (const { id, unread_count } of state.conversations) {
      if (!gate.unreadDropped.has(id)) continue
      connection.send({ type: 'unread', conversation_id: id, unread_count, unread_total: state.unread_total })
    }
    gate.unreadDropped.clear()
    return true
  }
}
