import { setImmediate as nextTurn } from 'node:timers/promises'
import { AppError, type SearchQuery, type SearchResult } from '@parley/contracts'
import type { Kysely } from '@parley/pg-kit'
import type { Tables } from '../db.ts'
import { type MessageRow, type Reader, toMyMessage } from '../message.ts'
import { candidatesIn, messagesByIds, type Place, readersOf, seqOfResult, spanOf } from '../queries/search.ts'
import { type Match, matchContent, toHighlights } from './match.ts'
import { type Term, toTsquery } from './query.ts'
import { firstIdAt, isFirstId, STEP_MS, timeOf, toWindow } from './time.ts'

const BUDGET_MS = 1_000
/** A message's time in its id is when it came in, its `created_at` when it was stored: later by what it waited. */
const WAITED_MAX_MS = 60_000
const GROWTH_MAX = 16
/** Past the largest step (50 days) growth is slower: what was quiet until now need not stay so. */
const LARGE_MS = STEP_MS * 16 ** 3
const GROWTH_OF_LARGE = 4
/** Candidates are read and confirmed so many at a time, at most. */
const CANDIDATES_MAX = 200
/** So much text is looked through before sends get their turn: a few milliseconds. */
const A_TURN = 20_000
/** Of a message beside its content, with up to 100 ids of who read it. */
const ROW_OVERHEAD_BYTES = 5_000

export interface Wanted {
  user_id: string
  conversation_id: string | undefined
  terms: readonly Term[]
  query: SearchQuery
  limit: number
  maxBytes: number
  /** After so long an answer is given with what was found, and says from where to go on. */
  budgetMs?: number
}

type Found = { row: MessageRow; match: Match }

/**
 * Finds messages, the newest first. Goes back from the newest one in windows of time, each larger the less was found in the
 * one before: a word that everyone says needs minutes of history, one that was said once needs all of it, and costs little
 * there. Needs a snapshot, in a transaction of the person who asks.
 *
 * @throws AppError invalid_cursor
 */
export async function findMessages(
  db: Kysely<Tables>,
  wanted: Wanted
): Promise<{ results: SearchResult[]; has_more: boolean; next_before: string | null }> {
  const { user_id, conversation_id, terms, query, limit, maxBytes, budgetMs = BUDGET_MS } = wanted
  const cursor = query.before === undefined ? undefined : await toPlace(db, wanted, query.before)
  const span = await spanOf(db, user_id, conversation_id)
  const nothing = { results: [], has_more: false, next_before: null }
  if (terms.length === 0 || !span) return nothing

  const from = Math.max(Date.parse(span.oldest), query.from === undefined ? 0 : Date.parse(query.from)) - WAITED_MAX_MS
  // The clock of another store may have been ahead.
  const newest =
    Math.min(Date.parse(span.newest) + WAITED_MAX_MS, query.to === undefined ? Number.POSITIVE_INFINITY : Date.parse(query.to)) + 1
  let before: Place =
    cursor && Date.parse(cursor.at) < newest ? cursor : { at: new Date(newest).toISOString(), seq: 0, id: firstIdAt(newest) }
  // A message's own millisecond may have others, written before it.
  const walk = new Walk(from, Date.parse(before.at) + (isFirstId(before.id) ? 0 : 1))
  const tsquery = toTsquery(terms, query)
  const deadline = performance.now() + budgetMs

  const found: Found[] = []
  let bytes = 0
  while (found.length <= limit && bytes <= maxBytes) {
    const window = walk.window
    if (!window) break
    const pageSize = Math.min(CANDIDATES_MAX, 2 * (limit + 1 - found.length))
    const candidates = await candidatesIn(db, {
      conversation_id: conversation_id ?? null,
      window: toWindow(...window),
      wanted: tsquery,
      from: new Date(from).toISOString(),
      before,
      limit: pageSize
    })
    for (const one of await confirm(db, candidates, wanted)) {
      found.push(one)
      bytes += Buffer.byteLength(one.row.content) + JSON.stringify(one.row.metadata ?? {}).length + ROW_OVERHEAD_BYTES
    }
    const last = candidates.at(-1)
    if (last && candidates.length === pageSize) {
      before = { at: new Date(timeOf(last.id)).toISOString(), ...last }
    } else {
      walk.next(candidates.length, limit)
      before = walk.place(before)
    }
    // After a step, so that whoever goes on from there gets on.
    if (performance.now() > deadline && found.length <= limit && bytes <= maxBytes && walk.window) {
      return { ...(await answer(db, user_id, found)), has_more: true, next_before: before.id }
    }
  }

  const results = fit(found, limit, maxBytes)
  const has_more = results.length < found.length || walk.window !== undefined
  return { ...(await answer(db, user_id, results)), has_more, next_before: has_more ? results.at(-1)!.row.id : null }
}

/** Candidates whose text has what is wanted, in their order: the index has no positions, and only the beginnings of words. */
async function confirm(db: Kysely<Tables>, candidates: readonly { id: string }[], { terms, query }: Wanted): Promise<Found[]> {
  if (candidates.length === 0) return []
  const rows = new Map(
    (
      await messagesByIds(
        db,
        candidates.map(({ id }) => id),
        query
      )
    ).map(row => [row.id, row])
  )
  const found: Found[] = []
  let read = 0
  for (const { id } of candidates) {
    const row = rows.get(id)
    if (!row) continue
    const match = matchContent(row.content, terms)
    if (match) found.push({ row, match })
    read += row.content.length
    if (read > A_TURN) {
      read = 0
      await nextTurn()
    }
  }
  return found
}

/** As many as were asked for and fit into a reply, one at least. */
function fit(found: readonly Found[], limit: number, maxBytes: number): Found[] {
  let bytes = 0
  return found.slice(0, limit).filter(({ row }, index) => {
    bytes += Buffer.byteLength(row.content) + JSON.stringify(row.metadata ?? {}).length + ROW_OVERHEAD_BYTES
    return index === 0 || bytes <= maxBytes
  })
}

async function answer(db: Kysely<Tables>, user_id: string, found: readonly Found[]): Promise<{ results: SearchResult[] }> {
  if (found.length === 0) return { results: [] }
  const oldest = new Map<string, number>()
  for (const { row } of found) oldest.set(row.conversation_id, Math.min(row.seq, oldest.get(row.conversation_id) ?? row.seq))
  const readers = new Map<string, Reader[]>()
  for (const { conversation_id, ...reader } of await readersOf(
    db,
    Array.from(oldest, ([conversation_id, seq]) => ({ conversation_id, seq }))
  )) {
    const others = readers.get(conversation_id)
    if (others) others.push(reader)
    else readers.set(conversation_id, [reader])
  }
  return {
    results: found.map(({ row, match }) => ({
      message: toMyMessage(row, user_id, readers.get(row.conversation_id) ?? []),
      highlights: toHighlights(row.content, match.spans),
      rank: match.rank
    }))
  }
}

async function toPlace(db: Kysely<Tables>, { user_id, conversation_id }: Wanted, id: string): Promise<Place> {
  const at = new Date(timeOf(id)).toISOString()
  if (isFirstId(id)) return { at, seq: 0, id }
  const seq = await seqOfResult(db, user_id, conversation_id, id)
  if (seq !== undefined) return { at, seq, id }
  throw new AppError('invalid_cursor', 'before is no message that could be a result', {
    errors: [{ path: '/before', message: 'must be `next_before` or the id of a message of the results' }]
  })
}

/** Windows of time from the newest to the oldest, each after what the one before it had. */
class Walk {
  readonly #from: number
  #to: number
  #size = STEP_MS

  constructor(from: number, to: number) {
    this.#from = Math.floor(from / STEP_MS) * STEP_MS
    this.#to = Math.ceil(to / STEP_MS) * STEP_MS
  }

  /** Undefined once all was looked through. */
  get window(): [from: number, to: number] | undefined {
    return this.#to > this.#from ? [Math.max(this.#from, this.#to - this.#size), this.#to] : undefined
  }

  next(found: number, limit: number): void {
    this.#to -= this.#size
    const most = this.#size >= LARGE_MS ? GROWTH_OF_LARGE : GROWTH_MAX
    this.#size *= found === 0 ? most : Math.max(2, Math.min(most, Math.ceil((2 * limit) / found)))
  }

  /** The end of the window that comes now, where that is before `place`. */
  place(place: Place): Place {
    const at = new Date(this.#to).toISOString()
    return at < place.at ? { at, seq: 0, id: firstIdAt(this.#to) } : place
  }
}
