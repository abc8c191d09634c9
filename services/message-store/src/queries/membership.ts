import { type Kysely, sql } from '@parley/pg-kit'
import type { Tables } from '../db.ts'
import type { Range } from '../visible.ts'

/** A conversation's counters, and the caller's place in it where they are a participant. */
export interface Membership {
  id: string
  type: string
  status: string
  last_seq: number
  version: number
  /** null: of the same organization, but not in this conversation. */
  last_read_seq: number | null
  /** What was said while they were away, oldest first. */
  hidden: Range[]
}

/** Who came and went more often than that sees nothing from before; a read stays a read. */
const HIDDEN_MAX = 1_000

/** What `participants p` do not see of their conversation, as JSON. One range of absences_pkey, which is empty for nearly everyone. */
export const HIDDEN = sql<Range[]>`
  (select coalesce(jsonb_agg(jsonb_build_array(case when a.n = ${sql.lit(HIDDEN_MAX)} then 1 else a.from_seq end, a.until_seq) order by a.from_seq), '[]')
   from (
     select x.from_seq, x.until_seq, row_number() over (order by x.from_seq desc) as n from absences x
     where x.conversation_id = p.conversation_id and x.user_id = p.user_id order by x.from_seq desc limit ${sql.lit(HIDDEN_MAX)}
   ) a)`

/** Whether `messages m` are hidden from a person; nobody is named where the answer is for the service itself. */
export const isHiddenFrom = (user_id: string | null) => sql<boolean>`
  exists (select from absences a
    where a.conversation_id = m.conversation_id and a.user_id = ${user_id}::uuid and m.seq between a.from_seq and a.until_seq)`

/** Reads what decides whether a person may look into a conversation; undefined where it is not of their organization. */
export async function findMembership(
  db: Kysely<Tables>,
  { user_id, org_id }: { user_id: string; org_id: string },
  conversation_id: string
): Promise<Membership | undefined> {
  const { rows } = await sql<Membership>`
    select c.id, c.type, c.status, c.last_seq, c.version, p.last_read_seq, ${HIDDEN} as hidden
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
  case when c.last_seq > p.last_read_seq then greatest(0, c.last_seq - p.last_read_seq - (
    select count(*) from messages x
    where x.conversation_id = c.id and x.seq > p.last_read_seq and (x.deleted_at is not null or x.content_type = 'system'))) else 0 end`

/** How often a person was called past their position, by name or with everyone, for `participants p` and `conversations c`. */
export const MENTION_COUNT = sql<number>`(
  (select count(*) from mentions x join messages m on m.conversation_id = x.conversation_id and m.seq = x.seq
   where x.conversation_id = c.id and x.user_id = p.user_id and x.seq > p.last_read_seq and m.deleted_at is null)
  + (select count(*) from messages m
     where m.conversation_id = c.id and m.seq > p.last_read_seq and m.mention_all and m.deleted_at is null
       and p.user_id <> all(coalesce(m.mentions, '{}'))))`
