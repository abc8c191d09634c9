import { type Kysely, sql } from '@parley/pg-kit'
import type { Tables } from '../db.ts'
import type { MessageRow } from '../message.ts'
import { MESSAGE_COLUMNS, WITH_SENDER } from './message-columns.ts'

export interface OutboxBatch {
  id: string
  kind: string
  conversation_ids: string[]
  versions: number[]
  user_ids: string[]
}

/** Leaves a change in the outbox, in the transaction that makes it. */
export async function leaveInOutbox(
  db: Kysely<Tables>,
  row: { id: string; created_at: string; kind: string; conversation_ids: string[]; versions?: number[]; user_ids?: string[] }
): Promise<void> {
  await db.insertInto('outbox_batches').values(row).execute()
}

/** Claims rows older than `before` by making them young again; rows that another store claims at the moment are skipped. */
export async function claimBatches(
  db: Kysely<Tables>,
  { before, at, limit }: { before: string; at: string; limit: number }
): Promise<OutboxBatch[]> {
  const { rows } = await sql<OutboxBatch>`
    update outbox_batches o set created_at = ${at}
    from (select id from outbox_batches where created_at < ${before} order by created_at limit ${limit} for update skip locked) x
    where o.id = x.id
    returning o.id, o.kind, o.conversation_ids, o.versions, o.user_ids`.execute(db)
  return rows.map(row => ({ ...row, versions: row.versions.map(Number) }))
}

export async function deleteBatches(db: Kysely<Tables>, ids: readonly string[]): Promise<void> {
  await sql`delete from outbox_batches where id = any(${ids}::uuid[])`.execute(db)
}

/** How much is committed and not known to be published: rows, and the age of the oldest in seconds. */
export async function outboxDepth(db: Kysely<Tables>): Promise<{ rows: number; age_seconds: number }> {
  const { rows } = await sql<{ rows: number; age_seconds: number }>`
    select count(*) as rows, coalesce(extract(epoch from now() - min(created_at)), 0)::float8 as age_seconds from outbox_batches`.execute(
    db
  )
  return rows[0]!
}

/** The messages that stand at the versions of a batch. */
export async function messagesAtVersions(
  db: Kysely<Tables>,
  { conversation_ids, versions }: { conversation_ids: readonly string[]; versions: readonly number[] }
): Promise<MessageRow[]> {
  const { rows } = await sql<MessageRow>`
    select ${MESSAGE_COLUMNS} from unnest(${conversation_ids}::uuid[], ${versions}::bigint[]) as i (conversation_id, version)
    join ${WITH_SENDER} on m.conversation_id = i.conversation_id and m.version = i.version
    order by m.conversation_id, m.version`.execute(db)
  return rows
}

export async function findConversation(
  db: Kysely<Tables>,
  conversation_id: string
): Promise<{ id: string; org_id: string; version: number } | undefined> {
  return db.selectFrom('conversations').select(['id', 'org_id', 'version']).where('id', '=', conversation_id).executeTakeFirst()
}
