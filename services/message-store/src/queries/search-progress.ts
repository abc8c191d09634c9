import { type Kysely, sql } from '@parley/pg-kit'
import type { Tables } from '../db.ts'

/**
 * Takes the one row that lets a process fill the index, until its transaction ends, however that ends. Its commit waits for
 * no disk: what a crash loses of it is lost with the progress that tells of it, and done again.
 *
 * @returns undefined where another process has it; else after which message new ones are looked for, null at the very first
 */
export async function takeWorker(db: Kysely<Tables>): Promise<{ seen_id: string | null } | undefined> {
  await sql`set local synchronous_commit = off`.execute(db)
  const { rows } = await sql<{ seen_id: string | null }>`select seen_id from search_worker where id = 1 for update skip locked`.execute(db)
  return rows[0]
}

/** The conversations of the next messages after an id, so many messages at most, and the last of these. One range of messages_id. */
export async function newsAfter(
  db: Kysely<Tables>,
  id: string,
  limit: number
): Promise<{ conversation_ids: string[]; last_id: string | null; count: number }> {
  const { rows } = await sql<{ conversation_ids: string[]; last_id: string | null; count: number }>`
    select coalesce(array_agg(distinct conversation_id), '{}') as conversation_ids, (array_agg(id order by id desc))[1] as last_id, count(*) as count
    from (select id, conversation_id from messages where id > ${id} order by id limit ${limit}) news`.execute(db)
  return rows[0]!
}

/** The newest message of all, undefined where there is none. */
export async function newestId(db: Kysely<Tables>): Promise<string | undefined> {
  const { rows } = await sql<{ id: string }>`select id from messages order by id desc limit 1`.execute(db)
  return rows[0]?.id
}

export async function setSeen(db: Kysely<Tables>, seen_id: string): Promise<void> {
  await sql`update search_worker set seen_id = ${seen_id} where id = 1`.execute(db)
}

/** A page of all conversations in the order of their ids: which of them are not wholly in the index, and where the next page begins. */
export async function behindAfter(
  db: Kysely<Tables>,
  after: string,
  limit: number
): Promise<{ conversation_ids: string[]; last: string | null }> {
  const { rows } = await sql<{ conversation_ids: string[]; last: string | null }>`
    select coalesce(array_agg(c.id) filter (where c.last_seq > coalesce(s.seq, 0)), '{}') as conversation_ids, (array_agg(c.id order by c.id desc))[1] as last
    from (select id, last_seq from conversations where id > ${after} order by id limit ${limit}) c
    left join search_progress s on s.conversation_id = c.id`.execute(db)
  return rows[0]!
}

export interface PendingMessage {
  id: string
  conversation_id: string
  seq: number
  org_id: string
  version: number
  sender_id: string
  content: string
  content_type: string
  is_deleted: boolean
}

/** Messages of conversations past what is in the index, in the order of each conversation; `limit` in all. Ranges of messages_pkey. */
export async function pendingMessages(db: Kysely<Tables>, conversation_ids: readonly string[], limit: number): Promise<PendingMessage[]> {
  if (conversation_ids.length === 0) return []
  const { rows } = await sql<PendingMessage>`
    select m.* from unnest(${conversation_ids}::uuid[]) as i (id)
    left join search_progress s on s.conversation_id = i.id
    cross join lateral (
      select id, conversation_id, seq, org_id, version, sender_id, content, content_type, deleted_at is not null as is_deleted
      from messages where conversation_id = i.id and messages.seq > coalesce(s.seq, 0) order by messages.seq limit ${limit}
    ) m
    limit ${limit}`.execute(db)
  return rows
}

export async function writeProgress(db: Kysely<Tables>, done: readonly { conversation_id: string; seq: number }[]): Promise<void> {
  if (done.length === 0) return
  await sql`
    insert into search_progress as s (conversation_id, seq)
    select * from unnest(${done.map(d => d.conversation_id)}::uuid[], ${done.map(d => d.seq)}::bigint[])
    on conflict (conversation_id) do update set seq = greatest(s.seq, excluded.seq)`.execute(db)
}
