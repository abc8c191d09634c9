import { type Kysely, sql } from '@parley/pg-kit'
import type { Tables } from '../db.ts'

export interface ExportedMessage {
  id: string
  conversation_id: string
  seq: number
  content: string
  content_type: string
  metadata: Record<string, unknown> | null
  reply_to_id: string | null
  created_at: string
  edited_at: string | null
  deleted_at: string | null
}

/** What a person has said in a conversation after a seq and up to a time, in its order. Uses messages_client_id. */
export async function messagesOf(
  db: Kysely<Tables>,
  {
    conversation_id,
    user_id,
    after,
    before,
    limit
  }: { conversation_id: string; user_id: string; after: number; before: string; limit: number }
): Promise<ExportedMessage[]> {
  const { rows } = await sql<ExportedMessage>`
    select id, conversation_id, seq, content, content_type, metadata, reply_to_id, created_at, edited_at, deleted_at from messages
    where conversation_id = ${conversation_id} and sender_id = ${user_id} and seq > ${after} and created_at <= ${before}
      and content_type <> 'system' and purged_at is null
    order by seq limit ${limit}`.execute(db)
  return rows
}

export async function profileOf(
  db: Kysely<Tables>,
  { org_id, user_id }: { org_id: string; user_id: string }
): Promise<Record<string, unknown> | undefined> {
  return db
    .selectFrom('users')
    .select(['id', 'org_id', 'username', 'display_name', 'title', 'department', 'avatar_url', 'email', 'role', 'settings', 'created_at'])
    .where('org_id', '=', org_id)
    .where('id', '=', user_id)
    .where('erased_at', 'is', null)
    .executeTakeFirst()
}

export async function insertPage(db: Kysely<Tables>, page: { job_id: string; page: number; org_id: string; data: string }): Promise<void> {
  await db.insertInto('export_pages').values(page).execute()
}

export async function findPage(db: Kysely<Tables>, job_id: string, page: number): Promise<string | undefined> {
  const row = await db.selectFrom('export_pages').select('data').where('job_id', '=', job_id).where('page', '=', page).executeTakeFirst()
  return row?.data
}
