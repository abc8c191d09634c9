import { randomUUID } from 'node:crypto'
import { AppError, type ErrorCode } from '@parley/contracts'
import type { Database, Kysely } from '@parley/pg-kit'
import type { FastifyBaseLogger } from 'fastify'
import type { Tables } from '../db.ts'
import type { Outgoing } from '../message.ts'
import { claimDue, type DueRow, deleteScheduled, failScheduled, nextDue, putOff } from '../queries/scheduled.ts'
import { replaceEntry } from '../search/entries.ts'
import { findRefusals, findStanding } from './insert-messages.ts'
import type { Publisher } from './publish.ts'
import { isStanding, refusalOf } from './refusals.ts'
import { idNow } from './scheduled-id.ts'
import { byConversation, framesOf, type Stored, storeMessages } from './store-messages.ts'

/** How soon a message is known of that was scheduled meanwhile, perhaps by another store; known ones are waited for exactly. */
const EVERY_MS = 400
const CLAIM_MAX = 100
/** The last attempt is two minutes after the first. */
const ATTEMPTS_MAX = 8

/** What is sent under a new id or its own, at its place among what is stored together. */
interface Due {
  row: DueRow
  message: Outgoing
  isOld: boolean
}

/**
 * Sends what was scheduled, once it is due by the database's clock. Taken, stored by the same function as every message,
 * and deleted from what is scheduled in one transaction: a store that dies in it has done nothing, and one that dies after it
 * leaves the outbox row by which another one tells of the messages. So each is sent once, whoever dies when, and several
 * stores share the work, since what one has taken the others pass over.
 *
 * What may not be sent at that time stays, with the reason, for its author to see.
 */
export class Scheduler {
  readonly #db: Database<Tables>
  readonly #publisher: Publisher
  readonly #log: FastifyBaseLogger
  readonly #onDone: (counts: { sent: number; refused: number }) => void
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> = Promise.resolve()
  #isStopping = false

  constructor(
    db: Database<Tables>,
    publisher: Publisher,
    log: FastifyBaseLogger,
    onDone: (counts: { sent: number; refused: number }) => void
  ) {
    this.#db = db
    this.#publisher = publisher
    this.#log = log
    this.#onDone = onDone
  }

  start(): void {
    this.#wake(0)
  }

  /** Finishes what it has taken. */
  async stop(): Promise<void> {
    this.#isStopping = true
    clearTimeout(this.#timer)
    await this.#running
  }

  #wake(afterMs: number): void {
    if (this.#isStopping) return
    this.#timer = setTimeout(() => {
      this.#running = this.#run()
        .catch(err => {
          this.#log.warn({ err }, 'what is due could not be sent')
          return EVERY_MS
        })
        .then(nextMs => this.#wake(nextMs))
    }, afterMs)
  }

  /** @returns after how many milliseconds to look again */
  async #run(): Promise<number> {
    const dueInMs = await this.#db.query(nextDue)
    if (dueInMs === undefined) return EVERY_MS
    if (dueInMs > 0) return Math.min(Math.ceil(dueInMs), EVERY_MS)
    // What is due and not to be had is in another store's hands.
    return (await this.#send(CLAIM_MAX)) > 0 ? 0 : EVERY_MS
  }

  /** @returns how many were taken */
  async #send(limit: number): Promise<number> {
    let taken: readonly DueRow[] = []
    try {
      const tell = await this.#db.transaction(async db => {
        taken = await claimDue(db, limit)
        return taken.length > 0 ? this.#settle(db, taken) : undefined
      })
      tell?.()
    } catch (error) {
      const [first] = taken
      if (!first || (error instanceof AppError && error.code === 'unavailable')) throw error
      if (taken.length === 1) {
        this.#log.error({ err: error, conversation_id: first.conversation_id, id: first.id }, 'a scheduled message could not be sent')
        await this.#db.query(db => putOff(db, first.id, ATTEMPTS_MAX))
      } else {
        // Something about one of them: each on its own, so that it fails alone.
        for (let n = 0; n < taken.length && !this.#isStopping; n++) await this.#send(1)
      }
    }
    return taken.length
  }

  /** @returns what tells of it, once that is committed */
  async #settle(db: Kysely<Tables>, taken: readonly DueRow[]): Promise<() => void> {
    const batch = { id: randomUUID(), at: new Date().toISOString(), published: [] }
    const { sendable, settled, failed } = await sift(db, taken)
    const messages = sendable.map(({ message }) => message)
    let stored: Stored = { placed: [], mentions: [] }
    if (sendable.length > 0) {
      stored = await storeMessages(db, messages, batch)
      for (const { o, seq, version } of stored.placed) {
        const { row, message, isOld } = sendable[o - 1]!
        settled.push(row.id)
        if (isOld) await replaceEntry(db, { ...message, seq, version, sender_id: message.user_id }, message.org_id)
      }
      failed.push(...(await this.#refusalsOf(db, sendable, stored)))
    }
    await deleteScheduled(db, settled)
    await failScheduled(db, failed)
    return () => {
      const frames = framesOf(messages, stored, batch.at)
      if (stored.placed.length > 0) this.#publisher.publishConversations(batch.id, byConversation(messages, frames))
      this.#onDone({ sent: stored.placed.length, refused: failed.length })
    }
  }

  async #refusalsOf(db: Kysely<Tables>, sendable: readonly Due[], { placed }: Stored): Promise<Failed[]> {
    const places = new Set(placed.map(({ o }) => o - 1))
    const refused = sendable.filter((_, index) => !places.has(index))
    if (refused.length === 0) return []
    const reasons = await findRefusals(
      db,
      refused.map(({ message }) => message)
    )
    return refused.map(({ row, message }, index) => ({ id: row.id, error: refusalOf(reasons[index], message)?.code ?? 'internal' }))
  }
}

interface Failed {
  id: string
  error: ErrorCode
}

/** What can be sent of what is due; what was said meanwhile under the same client_message_id, and so is settled; and what fails. */
async function sift(db: Kysely<Tables>, taken: readonly DueRow[]): Promise<{ sendable: Due[]; settled: string[]; failed: Failed[] }> {
  const now = Date.now()
  const due = taken.map(row => toDue(row, now))
  const messages = due.map(({ message }) => message)
  const hasKeys = messages.some(({ client_message_id }) => client_message_id !== null)
  const standing = new Map((hasKeys ? await findStanding(db, messages) : []).map(row => [row.o - 1, row]))
  const sifted = { sendable: [] as Due[], settled: [] as string[], failed: [] as Failed[] }
  due.forEach((one, index) => {
    const { row, message } = one
    const stands = standing.get(index)
    if (stands && isStanding(stands, message)) sifted.settled.push(row.id)
    else if (stands) sifted.failed.push({ id: row.id, error: 'idempotency_mismatch' })
    // The host application has ended their account: nothing more is said in their name.
    else if (row.is_deactivated) sifted.failed.push({ id: row.id, error: 'forbidden' })
    else sifted.sendable.push(one)
  })
  return sifted
}

function toDue(row: DueRow, now: number): Due {
  const { id, isOld } = idNow(row.id, now)
  const { org_id, conversation_id, user_id, content, content_type, reply_to_id, client_message_id, metadata } = row
  const message: Outgoing = {
    id,
    org_id,
    conversation_id,
    user_id,
    content,
    content_type,
    reply_to_id,
    client_message_id,
    metadata: metadata === null ? null : JSON.stringify(metadata),
    forwarded_from: null
  }
  return { row, message, isOld }
}
