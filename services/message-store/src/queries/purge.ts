import { type Kysely, sql } from '@parley/pg-kit'
import type { Tables } from '../db.ts'
import { writeEntries } from './search.ts'

export interface PurgedConversation {
  id: string
  org_id: string
  version: number
  last_seq: number
  purged_seq: number
}

/** What is emptied, with what decides whether anyone sees a change by it. */
export interface Emptied {
  id: string
  seq: number
  version: number
  content_type: string
  created_at: string
  deleted_at: string | null
}

const EMPTIED = sql`m.id, m.seq, m.version, m.content_type, m.created_at, m.deleted_at`
/** The first message that is not emptied yet is older than a time: there is something to do in conversation `c`. */
const hasOlder = (before: string) => sql`
  exists (select from messages m where m.conversation_id = c.id and m.seq = c.purged_seq + 1 and m.created_at < ${before})`
const within = (only: string | null) => sql`(${only}::uuid is null or c.id = ${only}::uuid)`

/** How many messages a purge may have to look at. */
export async function countToPurge(
  db: Kysely<Tables>,
  { org_id, only, before }: { org_id: string; only: string | null; before: string }
): Promise<number> {
  const { rows } = await sql<{ total: number }>`
    select coalesce(sum(c.last_seq - c.purged_seq), 0)::bigint as total from conversations c
    where c.org_id = ${org_id} and ${within(only)} and ${hasOlder(before)}`.execute(db)
  return rows[0]!.total
}

/** Locks the next conversation from one on, that one included, that has something to empty. Uses conversations_org. */
export async function lockNextToPurge(
  db: Kysely<Tables>,
  { org_id, only, before, from }: { org_id: string; only: string | null; before: string; from: string }
): Promise<PurgedConversation | undefined> {
  const { rows } = await sql<PurgedConversation>`
    select c.id, c.org_id, c.version, c.last_seq, c.purged_seq from conversations c
    where c.org_id = ${org_id} and c.id >= ${from} and ${within(only)} and ${hasOlder(before)}
    order by c.id limit 1 for no key update`.execute(db)
  return rows[0]
}

/** The messages that follow what is emptied already, oldest first. */
export async function nextToPurge(
  db: Kysely<Tables>,
  { id, purged_seq }: PurgedConversation,
  limit: number
): Promise<(Emptied & { is_purged: boolean })[]> {
  const { rows } = await sql<Emptied & { is_purged: boolean }>`
    select ${EMPTIED}, m.purged_at is not null as is_purged from messages m
    where m.conversation_id = ${id} and m.seq > ${purged_seq} order by m.seq limit ${limit}`.execute(db)
  return rows
}

export async function setPurged(db: Kysely<Tables>, id: string, purged_seq: number): Promise<void> {
  await db.updateTable('conversations').set({ purged_seq }).where('id', '=', id).execute()
}

/**
 * Takes from messages all that they said: content, metadata, mentions, reactions, revisions, the client's own id, and what
 * they are found by. The row stays at its place, as one that is deleted. Those that could be read until now take a version
 * each; the caller holds the conversation's row.
 *
 * @returns the versions taken, in their order
 */
export async function emptyMessages(
  db: Kysely<Tables>,
  conversation: { id: string; org_id: string; version: number },
  messages: readonly Emptied[],
  at: string
): Promise<number[]> {
  if (messages.length === 0) return []
  const { id: conversation_id, org_id } = conversation
  const versions: number[] = []
  const emptied = messages.map(message => {
    if (message.deleted_at !== null) return message
    const version = conversation.version + versions.length + 1
    versions.push(version)
    return { ...message, version }
  })
  await sql`
    update messages m
    set content = '', metadata = null, mentions = null, mention_all = false, forwarded_from = null, client_message_id = null,
      reaction_count = 0, pinned_at = null, pinned_by = null, purged_at = ${at}, deleted_at = coalesce(m.deleted_at, ${at}::timestamptz),
      version = x.version, updated_at = case when m.version = x.version then m.updated_at else ${at}::timestamptz end
    from unnest(${emptied.map(m => m.seq)}::bigint[], ${emptied.map(m => m.version)}::bigint[]) as x (seq, version)
    where m.conversation_id = ${conversation_id} and m.seq = x.seq`.execute(db)
  const ids = emptied.map(m => m.id)
  await sql`delete from message_revisions where message_id = any(${ids}::uuid[])`.execute(db)
  await sql`delete from reactions where message_id = any(${ids}::uuid[])`.execute(db)
  await sql`delete from mentions where conversation_id = ${conversation_id} and seq = any(${emptied.map(m => m.seq)}::bigint[])`.execute(db)
  // Without lexemes, and of the new version: the worker that still has in hand what a message said leaves it.
  const found = emptied.filter((m, index) => m.version !== messages[index]!.version && m.content_type !== 'system')
  await writeEntries(
    db,
    found.map(m => ({ message_id: m.id, conversation_id, seq: m.seq, org_id, version: m.version, lexemes: [] }))
  )
  if (versions.length > 0) await bump(db, conversation_id, conversation.version + versions.length, at)
  return versions
}

/** Writes the version that a conversation has come to; the caller holds its row. */
export async function bump(db: Kysely<Tables>, id: string, version: number, at: string): Promise<void> {
  await db.updateTable('conversations').set({ version, updated_at: at }).where('id', '=', id).execute()
}

/** What a person has said in a conversation after one seq and up to another, and what the system has said of them. */
export async function nextOfPerson(
  db: Kysely<Tables>,
  {
    conversation_id,
    user_id,
    after,
    until,
    limit
  }: { conversation_id: string; user_id: string; after: number; until: number; limit: number },
  whose: 'theirs' | 'about them'
): Promise<Emptied[]> {
  const { rows } = await (whose === 'theirs'
    ? sql<Emptied>`
        select ${EMPTIED} from messages m
        where m.conversation_id = ${conversation_id} and m.sender_id = ${user_id} and m.seq > ${after} and m.seq <= ${until}
          and m.purged_at is null
        order by m.seq limit ${limit}`
    : sql<Emptied>`
        select ${EMPTIED} from messages m
        where m.conversation_id = ${conversation_id} and m.content_type = 'system' and m.metadata->>'user_id' = ${user_id}::text
          and m.seq > ${after} and m.seq <= ${until} and m.purged_at is null
        order by m.seq limit ${limit}`
  ).execute(db)
  return rows
}
