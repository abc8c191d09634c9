import { type Kysely, sql } from '@parley/pg-kit'
import type { Tables } from '../db.ts'
import type { MessageRow, Reader } from '../message.ts'
import type { Range } from '../visible.ts'
import { HIDDEN, isHiddenFrom } from './membership.ts'
import { MESSAGE_COLUMNS, WITH_SENDER } from './message-columns.ts'

/** What the largest page has. Without a limit the planner expects a ninth of the conversation, and reads all users for it. */
const STRETCH_MAX = 100

/** Stretches of a conversation's messages, oldest first, a page at most. Each is one range of the primary key. */
export async function messagesIn(db: Kysely<Tables>, conversation_id: string, stretches: readonly Range[]): Promise<MessageRow[]> {
  if (stretches.length === 0) return []
  const { rows } = await sql<MessageRow>`
    select x.*
    from unnest(${stretches.map(([from]) => from)}::bigint[], ${stretches.map(([, until]) => until)}::bigint[]) as s (from_seq, until_seq)
    cross join lateral (
      select ${MESSAGE_COLUMNS} from ${WITH_SENDER}
      where m.conversation_id = ${conversation_id} and m.seq between s.from_seq and s.until_seq
      order by m.seq limit ${sql.lit(STRETCH_MAX)}
    ) x
    order by x.seq`.execute(db)
  return rows
}

/** How far each active participant has read who has read at least to `seq`, and what they did not see; a thousand at most. */
export async function readersFrom(db: Kysely<Tables>, conversation_id: string, seq: number): Promise<Reader[]> {
  return db
    .selectFrom('participants as p')
    .select(['p.user_id', 'p.last_read_seq', HIDDEN.as('hidden')])
    .where('p.conversation_id', '=', conversation_id)
    .where('p.is_active', '=', true)
    .where('p.last_read_seq', '>=', seq)
    .limit(1_000)
    .execute()
}

/**
 * Who has read messages of several conversations, by conversation: as `readersFrom` the oldest message of each. One statement for
 * all of them, a thousand people of each conversation at most.
 */
export async function readersOf(
  db: Kysely<Tables>,
  messages: readonly { conversation_id: string; seq: number }[]
): Promise<Map<string, Reader[]>> {
  const oldest = new Map<string, number>()
  for (const { conversation_id, seq } of messages) oldest.set(conversation_id, Math.min(seq, oldest.get(conversation_id) ?? seq))
  const found = new Map<string, Reader[]>()
  if (oldest.size === 0) return found
  const { rows } = await sql<Reader & { conversation_id: string }>`
    select x.* from unnest(${[...oldest.keys()]}::uuid[], ${[...oldest.values()]}::bigint[]) as i (id, seq)
    cross join lateral (
      select p.conversation_id, p.user_id, p.last_read_seq, ${HIDDEN} as hidden from participants p
      where p.conversation_id = i.id and p.is_active and p.last_read_seq >= i.seq limit 1000
    ) x`.execute(db)
  for (const { conversation_id, ...reader } of rows) {
    const others = found.get(conversation_id)
    if (others) others.push(reader)
    else found.set(conversation_id, [reader])
  }
  return found
}

export type FoundMessage = MessageRow & { is_participant: boolean; is_hidden: boolean; is_purged: boolean; status: string }

/** One message of the caller's organization by its id, whether the caller is in its conversation, and was when it was said. */
export async function findMessage(
  db: Kysely<Tables>,
  { user_id, org_id }: { user_id: string; org_id: string },
  message_id: string
): Promise<FoundMessage | undefined> {
  const { rows } = await sql<FoundMessage>`
    select ${MESSAGE_COLUMNS}, c.status, m.purged_at is not null as is_purged,
      exists (select from participants p where p.conversation_id = m.conversation_id and p.user_id = ${user_id} and p.is_active) as is_participant,
      ${isHiddenFrom(user_id)} as is_hidden
    from ${WITH_SENDER} join conversations c on c.id = m.conversation_id
    where m.id = ${message_id} and m.org_id = ${org_id}`.execute(db)
  return rows[0]
}

/** The seq of a message of a conversation by its id, undefined where it is of another one. */
export async function seqOf(db: Kysely<Tables>, conversation_id: string, message_id: string): Promise<number | undefined> {
  const row = await db
    .selectFrom('messages')
    .select('seq')
    .where('id', '=', message_id)
    .where('conversation_id', '=', conversation_id)
    .executeTakeFirst()
  return row?.seq
}

/** The seq of the first message that was sent at or after a time; one past the end where none was. */
export async function seqAt(db: Kysely<Tables>, conversation_id: string, at: string, last_seq: number): Promise<number> {
  // Times rise with seq but for the clocks of two stores, so halving finds the place in 2 log n probes of the primary key.
  let low = 1
  let high = last_seq + 1
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const { rows } = await sql<{ is_before: boolean }>`
      select created_at < ${at}::timestamptz as is_before from messages where conversation_id = ${conversation_id} and seq = ${middle}`.execute(
      db
    )
    if (rows[0]?.is_before) low = middle + 1
    else high = middle
  }
  return low
}

/** Locks a conversation's row. Every lasting change goes through it, so versions follow the order of commits. */
export async function lockConversation(db: Kysely<Tables>, conversation_id: string): Promise<void> {
  await sql`select from conversations where id = ${conversation_id} for no key update`.execute(db)
}

/** Takes the next version of a conversation whose row is locked. A transaction that takes one makes one change. */
export async function nextVersion(db: Kysely<Tables>, conversation_id: string, at: string): Promise<number> {
  const { version } = await db
    .updateTable('conversations')
    .set(eb => ({ version: eb('version', '+', 1), updated_at: at }))
    .where('id', '=', conversation_id)
    .returning('version')
    .executeTakeFirstOrThrow()
  return version
}

/** Changes a message's content and keeps what it was; the caller holds the conversation's row. */
export async function editMessage(
  db: Kysely<Tables>,
  { id, conversation_id, seq, content }: MessageRow,
  {
    org_id,
    version,
    content: changed,
    mentions,
    at,
    by
  }: { org_id: string; version: number; content: string; mentions: { user_ids: string[]; all: boolean }; at: string; by: string }
): Promise<void> {
  await db
    .insertInto('message_revisions')
    .values({ message_id: id, conversation_id, org_id, version, content, edited_at: at, edited_by: by })
    .execute()
  const { user_ids, all } = mentions
  const called = { mentions: user_ids.length > 0 ? user_ids : null, mention_all: all }
  await db
    .updateTable('messages')
    .set({ content: changed, ...called, version, edited_at: at, updated_at: at })
    .where('id', '=', id)
    .execute()
  await db.deleteFrom('mentions').where('conversation_id', '=', conversation_id).where('seq', '=', seq).execute()
  if (user_ids.length > 0) {
    await db
      .insertInto('mentions')
      .values(user_ids.map(user_id => ({ conversation_id, user_id, seq, org_id })))
      .execute()
  }
}

/** Marks a message as deleted; the row and its place stay. */
export async function deleteMessage(
  db: Kysely<Tables>,
  id: string,
  { version, at, by }: { version: number; at: string; by: string }
): Promise<void> {
  await db
    .updateTable('messages')
    .set({ version, deleted_at: at, deleted_by: by, pinned_at: null, pinned_by: null, updated_at: at })
    .where('id', '=', id)
    .execute()
}

/** What was deleted is said again; the caller holds the conversation's row. */
export async function restoreMessage(db: Kysely<Tables>, id: string, { version, at }: { version: number; at: string }): Promise<void> {
  await db.updateTable('messages').set({ version, deleted_at: null, deleted_by: null, updated_at: at }).where('id', '=', id).execute()
}

/** Replies to a message past a seq that are not hidden from a person, oldest first. Uses messages_replies. */
export async function repliesTo(
  db: Kysely<Tables>,
  message_id: string,
  { user_id, after, limit }: { user_id: string; after: number; limit: number }
): Promise<MessageRow[]> {
  const { rows } = await sql<MessageRow>`
    select ${MESSAGE_COLUMNS} from ${WITH_SENDER}
    where m.reply_to_id = ${message_id} and m.seq > ${after} and m.deleted_at is null and not ${isHiddenFrom(user_id)}
    order by m.seq limit ${limit}`.execute(db)
  return rows
}

export async function listRevisions(
  db: Kysely<Tables>,
  message_id: string
): Promise<{ content: string; edited_at: string; edited_by: string }[]> {
  return db
    .selectFrom('message_revisions')
    .select(['content', 'edited_at', 'edited_by'])
    .where('message_id', '=', message_id)
    .orderBy('version')
    .limit(1_000)
    .execute()
}

/**
 * Who read a message, and when: the earliest marker at or past it, or the first message they wrote after it. People who
 * only ever wrote have no marker, since writing moves the position too.
 */
export async function listReceipts(
  db: Kysely<Tables>,
  { conversation_id, seq, sender_id }: MessageRow
): Promise<{ user_id: string; read_at: string }[]> {
  const { rows } = await sql<{ user_id: string; read_at: string }>`
    select p.user_id, least(
      (select r.read_at from read_markers r where r.conversation_id = p.conversation_id and r.user_id = p.user_id and r.seq >= ${seq} order by r.seq limit 1),
      (select m.created_at from messages m where m.conversation_id = p.conversation_id and m.sender_id = p.user_id and m.seq > ${seq} order by m.seq limit 1)
    ) as read_at
    from participants p
    where p.conversation_id = ${conversation_id} and p.user_id <> ${sender_id} and p.is_active and p.last_read_seq >= ${seq}
      and not exists (select from absences a
        where a.conversation_id = p.conversation_id and a.user_id = p.user_id and ${seq} between a.from_seq and a.until_seq)
    order by 2, 1
    limit 1000`.execute(db)
  return rows.filter(row => row.read_at !== null)
}
