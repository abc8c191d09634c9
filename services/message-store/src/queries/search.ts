import { type Kysely, sql } from '@parley/pg-kit'
import type { Tables } from '../db.ts'
import type { MessageRow, Reader } from '../message.ts'
import { HIDDEN, isHiddenFrom } from './membership.ts'
import { MESSAGE_COLUMNS, WITH_SENDER } from './message-columns.ts'

/** A place in the order of results: newest first, by the time in the id, then by seq. */
export interface Place {
  at: string
  seq: number
  id: string
}

/** The ids of messages that may match, newest first. `window` and `wanted` are tsqueries on lexemes. Reads message_search_lexemes alone. */
export async function candidatesIn(
  db: Kysely<Tables>,
  p: { conversation_id: string | null; window: string; wanted: string; from: string; before: Place; limit: number }
): Promise<{ id: string; seq: number }[]> {
  const { rows } = await sql<{ id: string; seq: number }>`
    select id, seq from search_messages(
      ${p.conversation_id}, ${p.window}::tsquery, ${p.wanted}::tsquery, ${p.from}, ${p.before.at}, ${p.before.seq}, ${p.before.id}, ${p.limit})`.execute(
    db
  )
  return rows
}

/** Messages by their ids, in no order, but for what is deleted or was written outside of two times. */
export async function messagesByIds(
  db: Kysely<Tables>,
  ids: readonly string[],
  { from, to }: { from?: string | undefined; to?: string | undefined }
): Promise<MessageRow[]> {
  const { rows } = await sql<MessageRow>`
    select ${MESSAGE_COLUMNS} from ${WITH_SENDER}
    where m.id = any(${ids}::uuid[]) and m.deleted_at is null
      and m.created_at >= coalesce(${from ?? null}, '-infinity'::timestamptz) and m.created_at <= coalesce(${to ?? null}, 'infinity'::timestamptz)`.execute(
    db
  )
  return rows
}

/** How far people of several conversations have read, of those who have read at least to a seq in each; a thousand of each at most. */
export async function readersOf(
  db: Kysely<Tables>,
  wanted: readonly { conversation_id: string; seq: number }[]
): Promise<(Reader & { conversation_id: string })[]> {
  const { rows } = await sql<Reader & { conversation_id: string }>`
    select x.* from unnest(${wanted.map(w => w.conversation_id)}::uuid[], ${wanted.map(w => w.seq)}::bigint[]) as i (id, seq)
    cross join lateral (
      select p.conversation_id, p.user_id, p.last_read_seq, ${HIDDEN} as hidden from participants p
      where p.conversation_id = i.id and p.is_active and p.last_read_seq >= i.seq limit 1000
    ) x`.execute(db)
  return rows
}

/**
 * The seq of a message that a page may go on from: of one conversation or of any that the caller is in, deleted or not, but
 * not said while they were away. Undefined where it is none of these.
 */
export async function seqOfResult(
  db: Kysely<Tables>,
  user_id: string,
  conversation_id: string | undefined,
  id: string
): Promise<number | undefined> {
  const { rows } = await sql<{ seq: number }>`
    select m.seq from messages m
    join participants p on p.conversation_id = m.conversation_id and p.user_id = ${user_id} and p.is_active
    where m.id = ${id} and (${conversation_id ?? null}::uuid is null or m.conversation_id = ${conversation_id ?? null}::uuid)
      and not ${isHiddenFrom(user_id)}`.execute(db)
  return rows[0]?.seq
}

/** Between which times there is anything to find, in one conversation or in all of the caller's; undefined where there is nothing. */
export async function spanOf(
  db: Kysely<Tables>,
  user_id: string,
  conversation_id: string | undefined
): Promise<{ oldest: string; newest: string } | undefined> {
  const { rows } = await sql<{ oldest: string; newest: string | null }>`
    select min(c.created_at) as oldest, max(c.last_message_at) as newest
    from participants p join conversations c on c.id = p.conversation_id
    where p.user_id = ${user_id} and p.is_active
      and (${conversation_id ?? null}::uuid is null or p.conversation_id = ${conversation_id ?? null}::uuid)`.execute(db)
  const { oldest, newest } = rows[0]!
  return newest === null ? undefined : { oldest, newest }
}

/** What stands in the index for one version of a message. */
export interface Entry {
  message_id: string
  conversation_id: string
  seq: number
  org_id: string
  version: number
  /** None for a message that is not to be found. */
  lexemes: Iterable<string>
}

/** Writes entries; one of a newer version than the one given stays as it is. */
export async function writeEntries(db: Kysely<Tables>, entries: readonly Entry[]): Promise<void> {
  if (entries.length === 0) return
  await sql`
    insert into message_search as s (message_id, conversation_id, seq, org_id, version, lexemes)
    select id, c, seq, org, version, array_to_tsvector(string_to_array(lexemes, ' '))
    from unnest(
      ${entries.map(e => e.message_id)}::uuid[], ${entries.map(e => e.conversation_id)}::uuid[], ${entries.map(e => e.seq)}::bigint[],
      ${entries.map(e => e.org_id)}::uuid[], ${entries.map(e => e.version)}::bigint[], ${entries.map(e => [...e.lexemes].join(' '))}::text[]
    ) as x (id, c, seq, org, version, lexemes)
    on conflict (message_id) do update set version = excluded.version, lexemes = excluded.lexemes where excluded.version > s.version`.execute(
    db
  )
}
