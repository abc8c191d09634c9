import { type Kysely, sql } from '@parley/pg-kit'
import type { Tables } from '../db.ts'

/** A conversation's counters, and the caller's place in it where they are a participant. */
export interface Membership {
  id: string
  type: string
  status: string
  last_seq: number
  version: number
  /** null: of the same organization, but not in this conversation. */
  last_read_seq: number | null
}

/** Reads what decides whether a person may look into a conversation; undefined where it is not of their organization. */
export async function findMembership(
  db: Kysely<Tables>,
  { user_id, org_id }: { user_id: string; org_id: string },
  conversation_id: string
): Promise<Membership | undefined> {
  const { rows } = await sql<Membership>`
    select c.id, c.type, c.status, c.last_seq, c.version, p.last_read_seq
    from conversations c
    left join participants p on p.conversation_id = c.id and p.user_id = ${user_id} and p.is_active
    where c.id = ${conversation_id} and c.org_id = ${org_id}`.execute(db)
  return rows[0]
}

/**
 * What others wrote past a position, less what does not count, for `participants p` and `conversations c`. One's own
 * messages never lie past one's position. The subquery reads messages_uncounted alone.
 */
export const UNREAD_COUNT = sql<number>`
  greatest(0, c.last_seq - p.last_read_seq - (
    select count(*) from messages x
    where x.conversation_id = c.id and x.seq > p.last_read_seq and (x.deleted_at is not null or x.content_type = 'system')))`
