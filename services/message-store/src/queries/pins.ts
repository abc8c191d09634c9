import { type Kysely, sql } from '@parley/pg-kit'
import type { Tables } from '../db.ts'
import type { MessageRow } from '../message.ts'
import { isHiddenFrom } from './membership.ts'
import { MESSAGE_COLUMNS, WITH_SENDER } from './message-columns.ts'

export async function countPins(db: Kysely<Tables>, conversation_id: string): Promise<number> {
  const { count } = await db
    .selectFrom('messages')
    .select(eb => eb.fn.countAll<number>().as('count'))
    .where('conversation_id', '=', conversation_id)
    .where('pinned_at', 'is not', null)
    .executeTakeFirstOrThrow()
  return count
}

/** The caller holds the conversation's row. @param by null takes the pin away */
export async function setPin(
  db: Kysely<Tables>,
  message_id: string,
  { by, version, at }: { by: string | null; version: number; at: string }
): Promise<void> {
  await db
    .updateTable('messages')
    .set({ pinned_at: by === null ? null : at, pinned_by: by, version, updated_at: at })
    .where('id', '=', message_id)
    .execute()
}

/** What is pinned in a conversation and not hidden from a person, the newest pin first. Uses messages_pinned. */
export async function pinnedMessages(db: Kysely<Tables>, conversation_id: string, user_id: string, limit: number): Promise<MessageRow[]> {
  const { rows } = await sql<MessageRow>`
    select ${MESSAGE_COLUMNS} from ${WITH_SENDER}
    where m.conversation_id = ${conversation_id} and m.pinned_at is not null and not ${isHiddenFrom(user_id)}
    order by m.pinned_at desc, m.seq desc limit ${limit}`.execute(db)
  return rows
}
