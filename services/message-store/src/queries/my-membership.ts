import type { Mine } from '@parley/contracts'
import { type Kysely, sql } from '@parley/pg-kit'
import { capabilitiesOf } from '../capabilities.ts'
import type { Tables } from '../db.ts'

/** Whether `participants p` have muted their conversation now. */
const IS_MUTED = sql`(p.notifications = 'none' or coalesce(p.muted_until > now(), false))`

/** Put away, and nothing new that would bring it back, for `participants p` and `conversations c`. */
export const IS_ARCHIVED = sql<boolean>`(p.archived and (c.last_seq <= p.archived_seq or ${IS_MUTED}))`

/** What makes a `MineRow`, from `participants p` joined with `conversations c`. */
export const MINE_COLUMNS = sql`
  p.role, ${IS_ARCHIVED} as archived, p.pinned, p.notifications, p.muted_until, p.last_read_seq, p.draft`

export type MineRow = Omit<Mine, 'capabilities'>

/** What a conversation is to one of its people. */
export function toMine(
  { role, archived, pinned, notifications, muted_until, last_read_seq, draft }: MineRow,
  conversation: { type: string; status: string; participant_count: number }
): Mine {
  const capabilities = capabilitiesOf(conversation, role)
  return { role, archived, pinned, notifications, muted_until, last_read_seq, draft, capabilities }
}

/** What a person set for themselves; undefined stays as it was. */
export interface MembershipChange {
  archived: boolean | undefined
  pinned: boolean | undefined
  notifications: Mine['notifications'] | undefined
  muted_until: string | null | undefined
  draft: string | null | undefined
}

/** Changes what a conversation is to one person; they are in it. */
export async function changeMembership(
  db: Kysely<Tables>,
  { user_id, conversation_id }: { user_id: string; conversation_id: string },
  { archived, pinned, notifications, muted_until, draft }: MembershipChange
): Promise<Mine> {
  const { rows } = await sql<MineRow & { type: string; status: string; participant_count: number }>`
    update participants p set
      archived = coalesce(${archived ?? null}, p.archived),
      archived_seq = case when ${archived ?? null} then c.last_seq else p.archived_seq end,
      pinned = coalesce(${pinned ?? null}, p.pinned),
      notifications = coalesce(${notifications ?? null}, p.notifications),
      muted_until = case when ${muted_until !== undefined} then ${muted_until ?? null}::timestamptz else p.muted_until end,
      draft = case when ${draft !== undefined} then ${draft ?? null} else p.draft end
    from conversations c
    where p.conversation_id = ${conversation_id} and p.user_id = ${user_id} and c.id = p.conversation_id
    returning ${MINE_COLUMNS}, c.type, c.status, c.participant_count`.execute(db)
  return toMine(rows[0]!, rows[0]!)
}

export interface MyPlace {
  type: string
  status: string
  participant_count: number
  role: Mine['role']
  /** It is a direct conversation, and one of the two has blocked the other. */
  is_blocked: boolean
}

/** What decides what a person may do in a conversation that they are in. */
export async function myRole(db: Kysely<Tables>, conversation_id: string, user_id: string): Promise<MyPlace> {
  const { rows } = await sql<MyPlace>`
    select c.type, c.status, c.participant_count, p.role, is_blocked(c.org_id, c.direct_low, c.direct_high) as is_blocked from conversations c
    join participants p on p.conversation_id = c.id and p.user_id = ${user_id}
    where c.id = ${conversation_id}`.execute(db)
  return rows[0]!
}
