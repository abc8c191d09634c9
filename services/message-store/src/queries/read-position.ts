import { type Kysely, sql } from '@parley/pg-kit'
import type { Tables } from '../db.ts'

export interface Moved {
  last_read_seq: number
  marked_read: number
  unread_count: number
  participant_count: number
  /** null: the position stood there already, or further. */
  message_id: string | null
}

/**
 * Moves a person's read position forward, never back and never past the end, and leaves a marker where it moved. The row
 * is locked first, so two devices count each message once.
 */
export async function moveReadPosition(
  db: Kysely<Tables>,
  { conversation_id, user_id, org_id, seq, at }: { conversation_id: string; user_id: string; org_id: string; seq: number; at: string }
): Promise<Moved> {
  const before = await db
    .selectFrom('participants')
    .select('last_read_seq')
    .where('conversation_id', '=', conversation_id)
    .where('user_id', '=', user_id)
    .forNoKeyUpdate()
    .executeTakeFirstOrThrow()
  const { rows } = await sql<Moved>`
    with target as (
      select c.last_seq, c.participant_count, greatest(${before.last_read_seq}, least(${seq}, c.last_seq)) as seq from conversations c where c.id = ${conversation_id}
    ), moved as (
      update participants p set last_read_seq = t.seq, last_read_at = ${at} from target t
      where p.conversation_id = ${conversation_id} and p.user_id = ${user_id} and t.seq > ${before.last_read_seq}
    ), marked as (
      insert into read_markers (conversation_id, user_id, seq, org_id, read_at)
      select ${conversation_id}, ${user_id}, t.seq, ${org_id}, ${at} from target t where t.seq > ${before.last_read_seq}
      on conflict do nothing
    ), uncounted as (
      select count(*) filter (where m.seq <= t.seq) as passed, count(*) filter (where m.seq > t.seq) as left
      from target t join messages m on m.conversation_id = ${conversation_id} and m.seq > ${before.last_read_seq}
        and (m.deleted_at is not null or m.content_type = 'system')
    )
    select t.seq as last_read_seq, t.participant_count,
      greatest(0, t.seq - ${before.last_read_seq} - u.passed)::bigint as marked_read,
      greatest(0, t.last_seq - t.seq - u.left)::bigint as unread_count,
      case when t.seq > ${before.last_read_seq} then (select m.id from messages m where m.conversation_id = ${conversation_id} and m.seq = t.seq) end as message_id
    from target t, uncounted u`.execute(db)
  return rows[0]!
}
