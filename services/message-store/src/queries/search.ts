import { type Kysely, sql } from '@parley/pg-kit'
import type { Tables } from '../db.ts'
import type { MessageRow } from '../message.ts'
import { isHiddenFrom } from './membership.ts'
import { MESSAGE_COLUMNS, WITH_SENDER } from './message-columns.ts'

/** A place in the order of results: newest first, by the time in the id, then by seq. */
export interface Place {
  at: string
  seq: number
  id: string
}

/** A message that may match; no content where it is deleted or was written outside of the times asked for. */
export interface Candidate {
  id: string
  seq: number
  content: string | null
}

/**
 * Messages that may match, newest first, with what they say. `window` and `wanted` are tsqueries on lexemes, `window` null for all times. Reads
 * message_search_lexemes, and of `messages` the contents alone, one probe of messages_id each: of a phrase that is rare most are
 * no results.
 */
export async function candidatesIn(
  db: Kysely<Tables>,
  p: {
    conversation_id: string | null
    window: string | null
    wanted: string
    from: string
    before: Place
    limit: number
    times: { from?: string | undefined; to?: string | undefined }
  }
): Promise<Candidate[]> {
  const { rows } = await sql<Candidate>`
    select s.id, s.seq, found.content
    from search_messages(
      ${p.conversation_id}, ${p.window}::tsquery, ${p.wanted}::tsquery, ${p.from}, ${p.before.at}, ${p.before.seq}, ${p.before.id}, ${p.limit})
      with ordinality as s (id, seq, place)
    left join lateral (
      select m.content from messages m
      where m.id = s.id and m.deleted_at is null
        and m.created_at >= coalesce(${p.times.from ?? null}, '-infinity'::timestamptz)
        and m.created_at <= coalesce(${p.times.to ?? null}, 'infinity'::timestamptz)
      limit 1
    ) found on true
    order by s.place`.execute(db)
  return rows
}

/** Rows of the index that are looked at to know what is common: 30 ms of a backend. */
const SAMPLED_PAGES = 50

/** Lexemes that more than a share of the messages have, from some pages of the index's table. */
export async function sampleCommon(db: Kysely<Tables>, share: number): Promise<string[]> {
  const {
    rows: [table]
  } = await sql<{ pages: number }>`select pg_relation_size('message_search') / current_setting('block_size')::integer as pages`.execute(db)
  const percent = Math.min(100, (100 * SAMPLED_PAGES) / Math.max(1, table!.pages))
  const { rows } = await sql<{ lexeme: string }>`
    with sampled as (select lexemes from message_search tablesample system (${percent}::real))
    select lexeme from (select unnest(tsvector_to_array(lexemes)) as lexeme from sampled) said
    group by lexeme having count(*) > ${share}::real * (select count(*) from sampled)`.execute(db)
  return rows.map(({ lexeme }) => lexeme)
}

/** Messages by their ids, in no order. One by one: joined together, all people of the organization were read for twenty messages. */
export async function messagesByIds(db: Kysely<Tables>, ids: readonly string[]): Promise<MessageRow[]> {
  const { rows } = await sql<MessageRow>`
    select x.* from unnest(${ids}::uuid[]) as i (id)
    cross join lateral (select ${MESSAGE_COLUMNS} from ${WITH_SENDER} where m.id = i.id limit 1) x`.execute(db)
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
