import { type Kysely, sql } from '@parley/pg-kit'
import type { Tables } from '../db.ts'

interface Reaction {
  emoji: string
  user_id: string
}

interface Change {
  version: number
  at: string
}

export async function hasReacted(db: Kysely<Tables>, message_id: string, { emoji, user_id }: Reaction): Promise<boolean> {
  const row = await db
    .selectFrom('reactions')
    .select('emoji')
    .where('message_id', '=', message_id)
    .where('emoji', '=', emoji)
    .where('user_id', '=', user_id)
    .executeTakeFirst()
  return row !== undefined
}

/** The different emojis that a message has. */
export async function reactionKinds(db: Kysely<Tables>, message_id: string): Promise<string[]> {
  const rows = await db.selectFrom('reactions').select('emoji').distinct().where('message_id', '=', message_id).execute()
  return rows.map(({ emoji }) => emoji)
}

/** The caller holds the conversation's row. */
export async function addReaction(
  db: Kysely<Tables>,
  { id, conversation_id }: { id: string; conversation_id: string },
  { emoji, user_id, org_id, version, at }: Reaction & Change & { org_id: string }
): Promise<void> {
  await db.insertInto('reactions').values({ message_id: id, emoji, user_id, conversation_id, org_id, created_at: at }).execute()
  await count(db, id, 1, { version, at })
}

/** The caller holds the conversation's row. */
export async function removeReaction(
  db: Kysely<Tables>,
  message_id: string,
  { emoji, user_id, version, at }: Reaction & Change
): Promise<void> {
  await db.deleteFrom('reactions').where('message_id', '=', message_id).where('emoji', '=', emoji).where('user_id', '=', user_id).execute()
  await count(db, message_id, -1, { version, at })
}

async function count(db: Kysely<Tables>, message_id: string, change: 1 | -1, { version, at }: Change): Promise<void> {
  await db
    .updateTable('messages')
    .set(eb => ({ reaction_count: eb('reaction_count', '+', change), version, updated_at: at }))
    .where('id', '=', message_id)
    .execute()
}

/** What makes `reactions` of a message `m`: each emoji with how many, and the first twenty of them. */
export const REACTIONS = sql`
  case when m.reaction_count > 0 then (
    select jsonb_agg(jsonb_build_object('emoji', x.emoji, 'count', x.count, 'user_ids', x.user_ids) order by x.first, x.emoji)
    from (
      select r.emoji, count(*) as count, min(r.created_at) as first, (array_agg(r.user_id order by r.created_at, r.user_id))[1:20] as user_ids
      from reactions r where r.message_id = m.id group by r.emoji
    ) x
  ) end`
