import { type ChangeType, CONVERSATION_TOLD_MAX } from '@parley/contracts'
import type { Database, Kysely } from '@parley/pg-kit'
import type { FastifyBaseLogger } from 'fastify'
import { type Added, announceAdded, announceChanges } from '../announce.ts'
import type { Tables } from '../db.ts'
import { changeFrame, toMessage } from '../message.ts'
import { changesAt } from '../queries/changes-at.ts'
import { getConversations } from '../queries/conversations.ts'
import { claimBatches, findConversation, messagesAtVersions, type OutboxBatch } from '../queries/outbox.ts'
import type { Publisher } from './publish.ts'

const EVERY_MS = 1_000
/** Older than any batch whose own store is alive and still counting acknowledgements. */
const LEFT_BEHIND_AFTER_MS = 2_000
const CLAIM_MAX = 50
/** A stream that owes acknowledgements for so long is slow, and not without what was published. */
const BEHIND_MAX_MS = 1_000

/**
 * Publishes what a store left behind that died between commit and publish, or that NATS did not acknowledge. The events
 * are rebuilt from the tables, at their newest state: whoever receives goes by version.
 */
export class Sweeper {
  readonly #db: Database<Tables>
  readonly #publisher: Publisher
  readonly #log: FastifyBaseLogger
  readonly #ensureStreams: () => Promise<void>
  readonly #onSwept: (count: number) => void
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> = Promise.resolve()

  constructor(
    db: Database<Tables>,
    publisher: Publisher,
    log: FastifyBaseLogger,
    ensureStreams: () => Promise<void>,
    onSwept: (count: number) => void
  ) {
    this.#ensureStreams = ensureStreams
    this.#db = db
    this.#publisher = publisher
    this.#log = log
    this.#onSwept = onSwept
  }

  start(): void {
    this.#timer = setTimeout(() => {
      this.#running = this.sweep()
        .catch(err => this.#log.warn({ err }, 'the outbox could not be swept'))
        .finally(() => this.start())
    }, EVERY_MS)
  }

  async stop(): Promise<void> {
    clearTimeout(this.#timer)
    await this.#running
    clearTimeout(this.#timer)
  }

  /**
   * Claims rows that nobody has published in time and publishes them; other stores skip what is claimed. A claim makes
   * the row young again, so it comes back only if this publish is not acknowledged either.
   */
  async sweep(): Promise<void> {
    // Publishing again what a slow stream has not come to yet puts it further behind, until it does nothing else.
    if (this.#publisher.behindMs > BEHIND_MAX_MS) return
    const now = Date.now()
    const claimed = await this.#db.query(db =>
      claimBatches(db, { before: new Date(now - LEFT_BEHIND_AFTER_MS).toISOString(), at: new Date(now).toISOString(), limit: CLAIM_MAX })
    )
    if (claimed.length === 0) return
    // The stream itself may be what is missing.
    await this.#ensureStreams()
    for (const batch of claimed) await this.#db.transaction(db => this.#republish(db, batch), { snapshot: true })
    this.#log.warn({ batches: claimed.length }, 'published what was left behind')
    this.#onSwept(claimed.length)
  }

  async #republish(db: Kysely<Tables>, batch: OutboxBatch): Promise<void> {
    if (batch.kind === 'conversation_added') {
      const conversation = await findConversation(db, batch.conversation_ids[0]!)
      if (!conversation) return this.#publisher.publish(batch.id, [])
      const { id, org_id } = conversation
      const added: Added[] = []
      for (const user_id of batch.user_ids) {
        const isTold = batch.user_ids.length <= CONVERSATION_TOLD_MAX
        const [seen] = isTold ? await getConversations(db, { user_id, org_id }, [id]) : []
        added.push({ user_id, ...(seen && { conversation: seen }) })
      }
      announceAdded(this.#publisher, batch.id, conversation, added)
      return
    }
    if (batch.kind === 'conversation_changed') {
      const told = await changesAt(db, batch.conversation_ids[0]!, batch.versions, batch.user_ids)
      return told ? announceChanges(this.#publisher, batch.id, told) : this.#publisher.publish(batch.id, [])
    }
    const frames = new Map<string, Uint8Array[]>()
    for (const row of await messagesAtVersions(db, batch)) {
      // A version that is no longer there was passed by a later change, which is published as its own.
      const frame = Buffer.from(changeFrame(batch.kind as ChangeType, row.conversation_id, row.version, JSON.stringify(toMessage(row))))
      frames.set(row.conversation_id, [...(frames.get(row.conversation_id) ?? []), frame])
    }
    this.#publisher.publishConversations(batch.id, frames)
  }
}
