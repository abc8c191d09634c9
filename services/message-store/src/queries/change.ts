import { type Kysely, sql } from '@parley/pg-kit'
import type { Tables } from '../db.ts'

export interface ChangingConversation {
  id: string
  org_id: string
  type: string
  status: string
  title: string | null
  description: string | null
  metadata: Record<string, unknown>
  history: string
  last_seq: number
  version: number
  participant_count: number
}

/** Locks a conversation's row and reads it as it is then. */
export async function readLocked(db: Kysely<Tables>, conversation_id: string): Promise<ChangingConversation> {
  const { rows } = await sql<ChangingConversation>`
    select id, org_id, type, status, title, description, metadata, history, last_seq, version, participant_count from conversations where id = ${conversation_id}
    for no key update`.execute(db)
  return rows[0]!
}

export interface SystemMessage {
  id: string
  conversation_id: string
  org_id: string
  seq: number
  version: number
  /** Who did what it tells of. */
  sender_id: string
  content: string
  metadata: string
  at: string
}

/** Writes a message of the system at a seq of a conversation whose row is locked. */
export async function insertSystemMessage(db: Kysely<Tables>, { at, ...message }: SystemMessage): Promise<void> {
  await db
    .insertInto('messages')
    .values({ ...message, content_type: 'system', created_at: at, updated_at: at })
    .execute()
}

export interface Bump {
  at: string
  version: number
  last_seq: number
  participant_count: number
  /** Undefined where no message was written. */
  last_message_id: string | undefined
  fields: SharedFields
  changed_version: number | undefined
}

/** What everyone sees of a conversation and its owners and admins may change; `metadata` is JSON already. */
export interface SharedFields {
  title?: string | null
  description?: string | null
  status?: string
  metadata?: string
  history?: string
}

/** Writes what a conversation's row says after a change; the caller holds the row. */
export async function bumpConversation(
  db: Kysely<Tables>,
  id: string,
  { at, last_message_id, fields, changed_version, ...counters }: Bump
): Promise<void> {
  await db
    .updateTable('conversations')
    .set({
      ...counters,
      ...fields,
      updated_at: at,
      ...(last_message_id !== undefined && { last_message_id, last_message_at: at }),
      ...(changed_version !== undefined && { changed_version })
    })
    .where('id', '=', id)
    .execute()
}
