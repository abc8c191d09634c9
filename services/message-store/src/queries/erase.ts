import { type Kysely, sql } from '@parley/pg-kit'
import type { Tables } from '../db.ts'

export const DELETED_PERSON = 'Deleted person'

/**
 * Takes a person's profile and settings, and their id from whoever would come with it. The row stays: messages have a
 * sender, and conversations had a participant.
 *
 * @returns false where the organization has no such person
 */
export async function eraseProfile(db: Kysely<Tables>, org_id: string, id: string): Promise<boolean> {
  const { rows } = await sql`
    update users set username = ${`deleted-${id}`}, display_name = ${DELETED_PERSON}, title = null, department = null, avatar_url = null,
      email = null, role = 'member', settings = '{}', updated_at = now(), erased_at = coalesce(erased_at, now()),
      deactivated_at = coalesce(deactivated_at, now())
    where org_id = ${org_id} and id = ${id} returning id`.execute(db)
  return rows.length > 0
}

/** How many messages there are in the conversations in which a person is or was. */
export async function countAround(db: Kysely<Tables>, { org_id, user_id }: { org_id: string; user_id: string }): Promise<number> {
  const { rows } = await sql<{ total: number }>`
    select coalesce(sum(c.last_seq), 0)::bigint as total from participants p join conversations c on c.id = p.conversation_id
    where p.user_id = ${user_id} and p.org_id = ${org_id}`.execute(db)
  return rows[0]!.total
}

/** Conversations in which a person is or was, in the order of their ids, from the one after another. Uses participants_user. */
export async function conversationsAfter(
  db: Kysely<Tables>,
  { org_id, user_id, after, limit }: { org_id: string; user_id: string; after: string; limit: number }
): Promise<{ id: string; last_seq: number }[]> {
  const { rows } = await sql<{ id: string; last_seq: number }>`
    select c.id, c.last_seq from participants p join conversations c on c.id = p.conversation_id
    where p.user_id = ${user_id} and p.org_id = ${org_id} and p.conversation_id > ${after} order by p.conversation_id limit ${limit}`.execute(
    db
  )
  return rows
}

/** Forgets how a person had arranged a conversation for themselves, and what they had begun to write there. */
export async function clearPlace(db: Kysely<Tables>, conversation_id: string, user_id: string): Promise<void> {
  await db
    .updateTable('participants')
    .set({ draft: null, notifications: 'all', muted_until: null, archived: false, archived_seq: 0, pinned: false })
    .where('conversation_id', '=', conversation_id)
    .where('user_id', '=', user_id)
    .execute()
}

/** Removes some of the rows that tell when a person has read and who has called them. @returns whether there may be more */
export async function clearTraces(db: Kysely<Tables>, conversation_id: string, user_id: string, limit: number): Promise<boolean> {
  const counts = [
    await sql`
      delete from read_markers where conversation_id = ${conversation_id} and user_id = ${user_id} and seq in (
        select seq from read_markers where conversation_id = ${conversation_id} and user_id = ${user_id} order by seq limit ${limit}) returning 1`.execute(
      db
    ),
    await sql`
      delete from mentions where conversation_id = ${conversation_id} and user_id = ${user_id} and seq in (
        select seq from mentions where conversation_id = ${conversation_id} and user_id = ${user_id} order by seq limit ${limit}) returning 1`.execute(
      db
    )
  ]
  return counts.some(({ rows }) => rows.length === limit)
}

/**
 * Takes some of a person's reactions from the messages of a conversation whose row is held. Each message that shows one
 * takes a version.
 *
 * @returns how many reactions went, and the versions taken
 */
export async function clearReactions(
  db: Kysely<Tables>,
  { id, version }: { id: string; version: number },
  user_id: string,
  { limit, at }: { limit: number; at: string }
): Promise<{ count: number; versions: number[] }> {
  const { rows } = await sql<{ message_id: string }>`
    delete from reactions r using (
      select message_id, emoji from reactions where user_id = ${user_id} and conversation_id = ${id} limit ${limit}
    ) x
    where r.message_id = x.message_id and r.emoji = x.emoji and r.user_id = ${user_id} returning r.message_id`.execute(db)
  const { rows: changed } = await sql<{ version: number }>`
    with gone as (
      select id, count(*) as count from unnest(${rows.map(row => row.message_id)}::uuid[]) as x (id) group by id
    ), numbered as (
      select m.id, g.count, m.deleted_at is null as is_shown,
        ${version}::bigint + row_number() over (partition by m.deleted_at is null order by m.seq) as version
      from gone g join messages m on m.id = g.id
    )
    update messages m set reaction_count = m.reaction_count - n.count,
      version = case when n.is_shown then n.version else m.version end,
      updated_at = case when n.is_shown then ${at}::timestamptz else m.updated_at end
    from numbered n where m.id = n.id
    returning case when n.is_shown then n.version end as version`.execute(db)
  const versions = changed.flatMap(row => (row.version === null ? [] : [Number(row.version)])).sort((a, b) => a - b)
  return { count: rows.length, versions }
}

/** What a person has outside of conversations. Whoever looks for them by these finds nobody. */
export async function clearRest(db: Kysely<Tables>, { org_id, user_id }: { org_id: string; user_id: string }): Promise<void> {
  await sql`delete from blocks where org_id = ${org_id} and (blocker_id = ${user_id} or blocked_id = ${user_id})`.execute(db)
  await sql`delete from project_members where org_id = ${org_id} and user_id = ${user_id}`.execute(db)
  await sql`delete from scheduled_messages where org_id = ${org_id} and user_id = ${user_id}`.execute(db)
}

/** Has what was exported of a person expire at once. */
export async function expireExports(db: Kysely<Tables>, { org_id, user_id }: { org_id: string; user_id: string }): Promise<void> {
  await sql`
    update jobs set expires_at = now(), finished_at = coalesce(finished_at, now()), error = coalesce(error, 'the person was erased'),
      status = 'failed'
    where org_id = ${org_id} and kind = 'export' and subject_id = ${user_id}`.execute(db)
}
