import { type Kysely, sql } from '@parley/pg-kit'
import type { Tables } from '../db.ts'
import type { Range } from '../visible.ts'
import { HIDDEN, UNREAD_COUNT } from './membership.ts'

export interface OpenConversation {
  user_id: string
  org_id: string
  id: string
  version: number
  unread_count: number
  /** What was said while they were away; null for who has been in from the beginning. */
  hidden: Range[] | null
}

/** Every conversation of some people, with version and unread count. Uses participants_user. */
export async function conversationsOf(
  db: Kysely<Tables>,
  people: readonly { user_id: string; org_id: string }[]
): Promise<OpenConversation[]> {
  const { rows } = await sql<OpenConversation>`
    select p.user_id, p.org_id, c.id, c.version, ${UNREAD_COUNT} as unread_count,
      case when p.joined_version > 1 then ${HIDDEN} end as hidden
    from unnest(${people.map(p => p.user_id)}::uuid[], ${people.map(p => p.org_id)}::uuid[]) as who (user_id, org_id)
    join participants p on p.user_id = who.user_id and p.org_id = who.org_id and p.is_active
    join conversations c on c.id = p.conversation_id`.execute(db)
  return rows
}

/** A conversation above this size is not told who read what, nor counts that fall: its clients ask. */
const TOLD_MAX = 100

/** Who has not read up to a message yet, its sender aside; nobody in large conversations. Uses the primary key. */
export async function peopleBehind(
  db: Kysely<Tables>,
  { conversation_id, seq, sender_id }: { conversation_id: string; seq: number; sender_id: string }
): Promise<{ user_id: string; org_id: string }[]> {
  return db
    .selectFrom('participants as p')
    .innerJoin('conversations as c', 'c.id', 'p.conversation_id')
    .select(['p.user_id', 'p.org_id'])
    .where('p.conversation_id', '=', conversation_id)
    .where('p.is_active', '=', true)
    .where('p.last_read_seq', '<', seq)
    .where('p.user_id', '<>', sender_id)
    .where('c.participant_count', '<=', TOLD_MAX)
    .execute()
}
