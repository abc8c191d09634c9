import { type Kysely, sql } from '@parley/pg-kit'
import type { Tables } from '../db.ts'

export interface ChangedConversation {
  id: string
  updated_at: string
}

/** Conversations after one, in the order of their ids: `limit` of all there are, so that a page costs the same wherever it is. */
export async function conversationsAfter(db: Kysely<Tables>, after: string, limit: number): Promise<ChangedConversation[]> {
  return db.selectFrom('conversations').select(['id', 'updated_at']).where('id', '>', after).orderBy('id').limit(limit).execute()
}

/** About how many conversations there are, as of the last ANALYZE; counting them would take as long as reading them. */
export async function aboutHowMany(db: Kysely<Tables>): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select greatest(reltuples, 0)::bigint as count from pg_class where oid = 'conversations'::regclass`.execute(db)
  return rows[0]!.count
}

/**
 * The newest version of a conversation that is older than a time: 0 where everything is newer. Walks back along
 * messages_version, past no more rows than are newer.
 */
export async function versionBefore(db: Kysely<Tables>, conversation_id: string, at: string): Promise<number> {
  const row = await db
    .selectFrom('messages')
    .select('version')
    .where('conversation_id', '=', conversation_id)
    .where('updated_at', '<', at)
    .orderBy('version', 'desc')
    .limit(1)
    .executeTakeFirst()
  return row?.version ?? 0
}

/**
 * The versions after one at which something stands: messages, people and the conversation itself, each at its newest; what
 * a later change has passed is not among them. The first version is the conversation's making, which is no change.
 */
export async function versionsAfter(db: Kysely<Tables>, conversation_id: string, since: number, limit: number): Promise<number[]> {
  const { rows } = await sql<{ version: number }>`
    select version from (
      (select version from messages where conversation_id = ${conversation_id} and version > ${since} order by version limit ${limit})
      union all
      (select version from participants where conversation_id = ${conversation_id} and version > ${since} order by version limit ${limit})
      union all
      select changed_version from conversations where id = ${conversation_id} and changed_version > ${since}
    ) x
    where version > 1 order by version limit ${limit}`.execute(db)
  return rows.map(({ version }) => version)
}
