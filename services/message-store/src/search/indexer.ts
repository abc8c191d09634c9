import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises'
import type { Database, Kysely } from '@parley/pg-kit'
import type { FastifyBaseLogger } from 'fastify'
import type { Tables } from '../db.ts'
import { type Entry, writeEntries } from '../queries/search.ts'
import {
  behindAfter,
  newestId,
  newsAfter,
  type PendingMessage,
  pendingMessages,
  setSeen,
  takeWorker,
  writeProgress
} from '../queries/search-progress.ts'
import { lexemesOf } from './lexemes.ts'
import { firstIdAt } from './time.ts'

/** A message can be found within a second of its sending: this, and what the batch itself takes. */
const EVERY_MS = 200
const BATCH_MAX = 1_000
/** Then sends get their turn: a millisecond of work. */
const ENTRIES_A_TURN = 32
/** Ids of one page of what is new: what has gathered for long must not be read in one go, nor again for each batch. */
const NEWS_MAX = 5_000
/** What is younger is looked through again: stores disagree about the time, and a transaction may be slow to commit. */
const SETTLED_AFTER_MS = 2_000
/** How often all conversations are compared with what is in the index. */
const COMPARE_EVERY_MS = 10 * 60_000
const COMPARED_AT_ONCE = 500
const WORTH_A_PAUSE_MS = 5
const PAUSE_TIMES = 3
const NONE = '00000000-0000-0000-0000-000000000000'

/**
 * Fills the search index from `messages`, in batches, behind the senders' backs. Several stores may run: whoever holds the
 * one row of `search_worker` works, for one transaction, and the others find it taken.
 *
 * The truth is `search_progress`: up to which seq each conversation is in the index. Since seqs have no holes and are
 * visible in their order, all after it is what is missing, whatever died meanwhile; nothing of it depends on the stream.
 * Which conversations to look at is known in two ways: by the newest message ids, which is fast and may pass over what is
 * late, and by comparing all conversations, at the start and now and then, which finds whatever was passed over and also what
 * was said before there was an index.
 */
export class Indexer {
  readonly #db: Database<Tables>
  readonly #log: FastifyBaseLogger
  readonly #onIndexed: (count: number) => void
  readonly #everyMs: number
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> = Promise.resolve()
  #isStopping = false
  /** The conversation up to which all were compared; undefined while none are. */
  #comparedTo: string | undefined = NONE
  #comparedAt = Date.now()
  /** Whether the last run left something to compare: then the next one, which takes what is new first, comes at once. */
  #isComparing = false

  constructor(db: Database<Tables>, log: FastifyBaseLogger, onIndexed: (count: number) => void, { everyMs = EVERY_MS } = {}) {
    this.#db = db
    this.#log = log
    this.#onIndexed = onIndexed
    this.#everyMs = everyMs
  }

  start(): void {
    if (this.#isStopping) return
    this.#timer = setTimeout(
      () => {
        this.#running = this.#run()
          .catch(err => this.#log.warn({ err }, 'the search index could not be filled'))
          .finally(() => this.start())
      },
      this.#isComparing ? 0 : this.#everyMs
    )
  }

  /** Finishes the batch in hand. */
  async stop(): Promise<void> {
    this.#isStopping = true
    clearTimeout(this.#timer)
    await this.#running
    clearTimeout(this.#timer)
  }

  /** All that is new; then, where a comparison is under way, some of what was passed over: what is new goes first. */
  async #run(): Promise<void> {
    while (!this.#isStopping && (await this.#paced(() => this.#indexNews())));
    if (this.#comparedTo === undefined && Date.now() - this.#comparedAt > COMPARE_EVERY_MS) this.#comparedTo = NONE
    this.#isComparing = false
    const until = Date.now() + this.#everyMs
    while (!this.#isStopping && this.#comparedTo !== undefined && Date.now() < until) {
      this.#isComparing = await this.#paced(() => this.#compare())
      if (!this.#isComparing) return
    }
  }

  /** A quarter of the time at most: one message costs more to index than to send, and whoever sends goes first. */
  async #paced<T>(work: () => Promise<T>): Promise<T> {
    const startedAt = performance.now()
    const result = await work()
    const tookMs = performance.now() - startedAt
    if (tookMs > WORTH_A_PAUSE_MS && !this.#isStopping) await delay(PAUSE_TIMES * tookMs)
    return result
  }

  /** @returns whether there is more */
  #indexNews(): Promise<boolean> {
    return this.#db.transaction(async db => {
      const worker = await takeWorker(db)
      if (!worker) return false
      if (worker.seen_id === null) {
        // The very first time: all that stands already is for the comparison.
        await setSeen(db, (await newestId(db)) ?? firstIdAt(Date.now()))
        return false
      }
      const { conversation_ids, last_id, count } = await newsAfter(db, worker.seen_id, NEWS_MAX)
      if (last_id === null) return false
      if ((await this.#index(db, conversation_ids)) === BATCH_MAX) return true
      const [seen] = [last_id, firstIdAt(Date.now() - SETTLED_AFTER_MS)].sort() as [string, string]
      if (seen > worker.seen_id) await setSeen(db, seen)
      return count === NEWS_MAX && seen === last_id
    })
  }

  /** @returns false where another process has the index in hand */
  #compare(): Promise<boolean> {
    return this.#db.transaction(async db => {
      if (this.#comparedTo === undefined || !(await takeWorker(db))) return false
      const { conversation_ids, last } = await behindAfter(db, this.#comparedTo, COMPARED_AT_ONCE)
      if ((await this.#index(db, conversation_ids)) === BATCH_MAX) return true
      this.#comparedTo = last ?? undefined
      if (last === null) this.#comparedAt = Date.now()
      return true
    })
  }

  /** Puts the next messages of conversations into the index, and with them how far it is. */
  async #index(db: Kysely<Tables>, conversation_ids: readonly string[]): Promise<number> {
    const pending = await pendingMessages(db, conversation_ids, BATCH_MAX)
    if (pending.length === 0) return 0
    const entries: Entry[] = []
    for (const message of pending.filter(isFindable)) {
      entries.push(toEntry(message))
      if (entries.length % ENTRIES_A_TURN === 0) await nextTurn()
    }
    await writeEntries(db, entries)
    const done = new Map<string, number>()
    for (const { conversation_id, seq } of pending) done.set(conversation_id, Math.max(seq, done.get(conversation_id) ?? 0))
    await writeProgress(
      db,
      Array.from(done, ([conversation_id, seq]) => ({ conversation_id, seq }))
    )
    this.#onIndexed(pending.length)
    return pending.length
  }
}

/** What a system tells and what was taken back is never found. */
const isFindable = ({ content_type, is_deleted }: PendingMessage): boolean => content_type !== 'system' && !is_deleted

const toEntry = (message: PendingMessage): Entry => ({
  message_id: message.id,
  conversation_id: message.conversation_id,
  seq: message.seq,
  org_id: message.org_id,
  version: message.version,
  lexemes: lexemesOf(message)
})
