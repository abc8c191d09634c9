import { AppError, isKeepable, isUuid, ListMessages, type ListMessagesQuery } from '@parley/contracts'
import type { Kysely } from '@parley/pg-kit'
import type { Tables } from '../db.ts'
import { type MessageRow, toMyMessage } from '../message.ts'
import { findMembership } from '../queries/membership.ts'
import { messagesIn, readersFrom, seqAt, seqOf } from '../queries/messages.ts'
import { requireParticipant } from '../rules.ts'
import type { Store } from '../store.ts'
import { Visible } from '../visible.ts'
import { toPagination } from './pagination.ts'

const LIMIT = 50

export function listMessages({ bus, people }: Store): void {
  bus.serve(ListMessages, ({ actor, conversation_id, query }) =>
    people.asUser(
      actor,
      async db => {
        const { last_seq, version, hidden } = requireParticipant(await findMembership(db, actor, conversation_id), conversation_id)
        const visible = new Visible(last_seq, hidden)
        const places = await toPlaces(db, conversation_id, query, last_seq, visible)
        const rows = await messagesIn(db, conversation_id, visible.between(places.from, places.to))
        const fitting = fit(rows, places.keep, bus.maxPayload / 2)
        const readers = rows.length > 0 ? await readersFrom(db, conversation_id, fitting[0]!.seq) : []
        const has_before = (fitting.length > 0 ? visible.upTo(fitting[0]!.seq) : places.from) > 1
        const has_after = (fitting.length > 0 ? visible.upTo(fitting.at(-1)!.seq) : places.to) < visible.count
        return {
          conversation_id,
          messages: fitting.map(row => toMyMessage(row, actor.user_id, readers)),
          has_more: query.after !== undefined ? has_after : query.around !== undefined ? has_before || has_after : has_before,
          has_before,
          has_after,
          total: visible.count,
          version,
          ...(places.page && { pagination: toPagination(places.page, visible.count) })
        }
      },
      { snapshot: true }
    )
  )
}

/** Places among what the caller sees, from and to, both included; where not all fits into a reply, which end stays. */
interface Places {
  from: number
  to: number
  keep: 'first' | 'last'
  page?: { page: number; page_size: number }
}

/** Pages and cursors alike are arithmetic on places: a deep page costs what the first one costs. */
async function toPlaces(
  db: Kysely<Tables>,
  conversation_id: string,
  query: ListMessagesQuery,
  last_seq: number,
  visible: Visible
): Promise<Places> {
  const { before, after, around, page, page_size, limit = LIMIT } = query
  const named = Object.entries({ before, after, around, page }).filter(([, value]) => value !== undefined)
  if (named.length > 1 && !(named.length === 2 && before !== undefined && page !== undefined)) {
    const message = 'only one of before, after, around and page may be given'
    throw new AppError('invalid_request', message, { errors: named.map(([name]) => ({ path: `/${name}`, message })) })
  }
  const seqAtCursor = (cursor: string, name: CursorName) => toSeq(db, conversation_id, cursor, { last_seq, visible }, name)
  const end = before === undefined ? visible.count + 1 : visible.upTo((await seqAtCursor(before, 'before')) - 1) + 1
  if (page !== undefined || page_size !== undefined) {
    const size = page_size ?? limit
    const number = page ?? 1
    const to = end - 1 - (number - 1) * size
    return { from: Math.max(1, to - size + 1), to, keep: 'last', page: { page: number, page_size: size } }
  }
  if (after !== undefined) {
    const from = visible.upTo(await seqAtCursor(after, 'after')) + 1
    return { from, to: Math.min(visible.count, from + limit - 1), keep: 'first' }
  }
  if (around !== undefined) {
    const middle = visible.upTo(await seqAtCursor(around, 'around'))
    const from = Math.max(1, Math.min(middle - Math.floor(limit / 2), visible.count - limit + 1))
    return { from, to: Math.min(visible.count, from + limit - 1), keep: 'first' }
  }
  return { from: Math.max(1, end - limit), to: end - 1, keep: 'last' }
}

type CursorName = 'before' | 'after' | 'around'

/**
 * The seq that a cursor names: a seq, the id of a message of this conversation, or for `before` a time. `before` may be
 * one past the end and `after` 0: the ends of a walk.
 *
 * @throws AppError invalid_cursor
 */
async function toSeq(
  db: Kysely<Tables>,
  conversation_id: string,
  cursor: string,
  { last_seq, visible }: { last_seq: number; visible: Visible },
  name: CursorName
): Promise<number> {
  if (/^\d{1,15}$/.test(cursor)) {
    const seq = Number(cursor)
    const first = name === 'after' ? 0 : 1
    if (seq >= first && seq <= (name === 'before' ? last_seq + 1 : last_seq)) return seq
  } else if (isUuid(cursor)) {
    const seq = await seqOf(db, conversation_id, cursor)
    if (seq !== undefined && visible.sees(seq)) return seq
  } else if (name === 'before' && /^\d{4}-\d\d-\d\d/.test(cursor) && isKeepable(Date.parse(cursor))) {
    return seqAt(db, conversation_id, new Date(cursor).toISOString(), last_seq)
  }
  throw new AppError('invalid_cursor', `${name} is no place in this conversation`, {
    errors: [{ path: `/${name}`, message: 'must be a seq or the id of a message of this conversation' }]
  })
}

/** A reply over NATS has a size; what does not fit is there by the next page. */
function fit(rows: readonly MessageRow[], keep: 'first' | 'last', maxBytes: number): MessageRow[] {
  const ordered = keep === 'first' ? rows : [...rows].reverse()
  const fitting: MessageRow[] = []
  let bytes = 0
  for (const row of ordered) {
    bytes += Buffer.byteLength(row.content) + (row.metadata ? JSON.stringify(row.metadata).length : 0) + ROW_OVERHEAD_BYTES
    if (bytes > maxBytes && fitting.length > 0) break
    fitting.push(row)
  }
  return keep === 'first' ? fitting : fitting.reverse()
}

/** A message beside its content, with up to 100 ids of who read it. */
const ROW_OVERHEAD_BYTES = 5_000
