import { setImmediate as nextTurn } from 'node:timers/promises'
import { AppError, type SearchQuery, type SearchResult } from '@parley/contracts'
import type { Kysely } from '@parley/pg-kit'
import type { Tables } from '../db.ts'
import { type MessageRow, toMyMessage } from '../message.ts'
import { readersOf } from '../queries/messages.ts'
import { type Candidate, candidatesIn, messagesByIds, type Place, seqOfResult, spanOf } from '../queries/search.ts'
import { type Match, matchContent, toHighlights } from './match.ts'
import { type Term, toTsquery } from './query.ts'
import { firstIdAt, isFirstId, STEP_MS, timeOf, toWindow, unitWithin } from './time.ts'

const BUDGET_MS = 1_000
/** A message's time in its id is when it came in, its `created_at` when it was stored: later by what it waited. */
const WAITED_MAX_MS = 60_000
const GROWTH_MAX = 16
/** Past the largest step (50 days) growth is slower: what was quiet until now need not stay so. */
const LARGE_MS = STEP_MS * 16 ** 3
const GROWTH_OF_LARGE = 4
/** Candidates are read and confirmed so many at a time, at most: their contents alone, the rest of a message once it is a result. */
const CANDIDATES_MAX = 200
/** So much text is looked through before sends get their turn: a few milliseconds. */
const A_TURN = 20_000
/** Of a message beside its content, with up to 100 ids of who read it. */
const ROW_OVERHEAD_BYTES = 5_000

export interface Wanted {
  user_id: string
  conversation_id: string | undefined
  terms: readonly Term[]
  /** What is said so often that it is looked for on the text alone, if anything else is asked for. */
  common?: ReadonlySet<string>
  query: SearchQuery
  limit: number
  maxBytes: number
  /** After so long an answer is given with what was found, and says from where to go on. */
  budgetMs?: number
}

interface Found {
  id: string
  match: Match
}
type Row = MessageRow & Pick<Found, 'match'>

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
  const { user_id, conversation_id, terms, common, query, limit, maxBytes, budgetMs = BUDGET_MS } = wanted
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
  const walk = new Walk(from, newest, Date.parse(before.at) + (isFirstId(before.id) ? 0 : 1))
  const tsquery = toTsquery(terms, query, common)
  const deadline = performance.now() + budgetMs

  const found: Found[] = []
  let bytes = 0
  let tried = 0
  while (found.length <= limit && bytes <= maxBytes) {
    const window = walk.window
    if (!window) break
    // As many as were looked at before, where few of them were what is wanted: a phrase of common words that hardly ever meet.
    const pageSize = Math.min(CANDIDATES_MAX, Math.max(2 * (limit + 1 - found.length), tried))
    const candidates = await candidatesIn(db, {
      conversation_id: conversation_id ?? null,
      window: window.isAll ? null : toWindow(window.from, window.to),
      wanted: tsquery,
      from: new Date(from).toISOString(),
      before,
      limit: pageSize,
      times: query
    })
    tried += candidates.length
    for (const one of await confirm(candidates, terms)) {
      found.push(one)
      bytes += one.bytes
    }
    const last = candidates.at(-1)
    if (last && candidates.length === pageSize) {
      const { id, seq } = last
      before = { at: new Date(timeOf(id)).toISOString(), seq, id }
      walk.goOn(timeOf(id))
    } else {
      walk.next(window, candidates.length, Math.max(2 * limit, tried))
      before = walk.place(before)
    }
    // After a step, so that whoever goes on from there gets on.
    if (performance.now() > deadline && found.length <= limit && bytes <= maxBytes && walk.window) {
      return { ...(await answer(db, user_id, await rowsOf(db, found))), has_more: true, next_before: before.id }
    }
  }

  const results = fit(await rowsOf(db, found.slice(0, limit)), maxBytes)
  const has_more = results.length < found.length || walk.window !== undefined
  return { ...(await answer(db, user_id, results)), has_more, next_before: has_more ? results.at(-1)!.id : null }
}

/** Candidates whose text has what is wanted, in their order: the index has no positions, and only the beginnings of words. */
async function confirm(candidates: readonly Candidate[], terms: readonly Term[]): Promise<(Found & { bytes: number })[]> {
  const found: (Found & { bytes: number })[] = []
  let read = 0
  for (const { id, content } of candidates) {
    if (content === null) continue
    const match = matchContent(content, terms)
    if (match) found.push({ id, match, bytes: Buffer.byteLength(content) + ROW_OVERHEAD_BYTES })
    read += content.length
    if (read > A_TURN) {
      read = 0
      await nextTurn()
    }
  }
  return found
}

async function rowsOf(db: Kysely<Tables>, found: readonly Found[]): Promise<Row[]> {
  const ids = found.map(({ id }) => id)
  const rows = new Map((ids.length > 0 ? await messagesByIds(db, ids) : []).map(row => [row.id, row]))
  return found.flatMap(({ id, match }) => {
    const row = rows.get(id)
    return row ? [{ ...row, match }] : []
  })
}

/** As many as fit into a reply, one at least. */
function fit(found: readonly Row[], maxBytes: number): Row[] {
  let bytes = 0
  return found.filter(({ content, metadata }, index) => {
    bytes += Buffer.byteLength(content) + JSON.stringify(metadata ?? {}).length + ROW_OVERHEAD_BYTES
    return index === 0 || bytes <= maxBytes
  })
}

async function answer(db: Kysely<Tables>, user_id: string, found: readonly Row[]): Promise<{ results: SearchResult[] }> {
  const readers = await readersOf(db, found)
  return {
    results: found.map(({ match, ...row }) => ({
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

interface Window {
  from: number
  to: number
  /** Nearly all there is lies within: to look at all is cheaper than to see of each whether it does. */
  isAll: boolean
}

/**
 * Windows of time from the newest to the oldest, each after what the one before it had. They begin and end where a lexeme as
 * large as they does: of 73 lexemes, as it takes between any two times, each was tried for every message found, 20 ms of a search.
 * What is newer than the end of the last one comes again for that, and is left out by its place.
 */
class Walk {
  readonly #oldest: number
  readonly #newest: number
  #to: number
  #size = STEP_MS

  constructor(oldest: number, newest: number, to: number) {
    this.#oldest = oldest
    this.#newest = newest
    this.#to = Math.ceil(to / STEP_MS) * STEP_MS
  }

  /** Undefined once all was looked through. */
  get window(): Window | undefined {
    if (this.#to <= this.#oldest) return undefined
    const left = this.#to - this.#oldest
    // Where half of it would come anyway, all of it does.
    const size = this.#size < left / 2 ? this.#size : left
    const unit = unitWithin(size)
    const end = unitWithin(size / 4)
    return {
      from: Math.floor((this.#to - size) / unit) * unit,
      to: Math.ceil(this.#to / end) * end,
      isAll: size === left && this.#newest - this.#to < left / 2
    }
  }

  /** After a window of which all was seen: one that has about as much as is wanted. */
  next({ from }: Window, found: number, wanted: number): void {
    this.#to = from
    const most = this.#size >= LARGE_MS ? GROWTH_OF_LARGE : GROWTH_MAX
    this.#size *= found === 0 ? most : Math.max(2, Math.min(most, Math.ceil(wanted / found)))
  }

  /** After a page of a window, down to a time: what was seen is not gone through again, nor far more than the next page has. */
  goOn(time: number): void {
    const to = Math.min(this.#to, Math.floor(time / STEP_MS + 1) * STEP_MS)
    this.#size = Math.min(this.#size, Math.max(STEP_MS, 2 * (this.#to - to)))
    this.#to = to
  }

  /** The end of the window that comes now, where that is before `place`. */
  place(place: Place): Place {
    const at = new Date(this.#to).toISOString()
    return at < place.at ? { at, seq: 0, id: firstIdAt(this.#to) } : place
  }
}
