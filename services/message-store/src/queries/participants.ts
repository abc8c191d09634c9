import type { Participant } from '@parley/contracts'
import { type Kysely, sql } from '@parley/pg-kit'
import type { Tables } from '../db.ts'

/** What makes a `Participant`, from `participants p` joined with their `users u`. */
export const PARTICIPANT_COLUMNS = sql`
  p.user_id, u.username, u.display_name, u.avatar_url, p.role, p.joined_at, p.is_active,
  (select m.id from messages m where m.conversation_id = p.conversation_id and m.seq = p.last_read_seq) as last_read_message_id,
  p.last_read_seq, p.last_read_at`

/** One page of who is in a conversation, longest-standing first. */
export async function pageOfParticipants(
  db: Kysely<Tables>,
  conversation_id: string,
  { page, page_size }: { page: number; page_size: number }
): Promise<{ participants: Participant[]; total: number }> {
  const { rows: counted } = await sql<{ total: number }>`
    select count(*) as total from participants p where p.conversation_id = ${conversation_id} and p.is_active`.execute(db)
  const { rows } = await sql<Participant>`
    select ${PARTICIPANT_COLUMNS} from participants p join users u on u.org_id = p.org_id and u.id = p.user_id
    where p.conversation_id = ${conversation_id} and p.is_active
    order by p.joined_at, p.user_id limit ${page_size} offset ${(page - 1) * page_size}`.execute(db)
  return { participants: rows, total: counted[0]?.total ?? 0 }
}

export interface Place {
  user_id: string
  role: Participant['role']
  is_active: boolean
  /** That of the last change of their membership. */
  version: number
}

/** Where some people stand in a conversation, of those who were in it once as well. */
export async function findPlaces(db: Kysely<Tables>, conversation_id: string, user_ids: readonly string[]): Promise<Map<string, Place>> {
  const rows = await db
    .selectFrom('participants')
    .select(['user_id', 'role', 'is_active', 'version'])
    .where('conversation_id', '=', conversation_id)
    .where('user_id', '=', eb => eb.fn.any(eb.val(user_ids)))
    .execute()
  return new Map(rows.map(row => [row.user_id, row as Place]))
}

/** A person in a conversation as everyone sees them, whether they are in it still or not. */
export async function getParticipant(db: Kysely<Tables>, conversation_id: string, user_id: string): Promise<Participant> {
  const { rows } = await sql<Participant>`
    select ${PARTICIPANT_COLUMNS} from participants p join users u on u.org_id = p.org_id and u.id = p.user_id
    where p.conversation_id = ${conversation_id} and p.user_id = ${user_id}`.execute(db)
  return rows[0]!
}

export interface Coming {
  conversation_id: string
  org_id: string
  user_id: string
  role: Participant['role']
  version: number
  at: string
  /** The last seq before they came. */
  last_seq: number
  /** Whether they see what was said while they were not in it. */
  sharesHistory: boolean
}

/**
 * Puts a person into a conversation whose row is locked, for the first time or again. They have read up to the message
 * that tells of their coming: what they may not see is never unread, so counts stay arithmetic on positions.
 */
export async function enter(
  db: Kysely<Tables>,
  { conversation_id, org_id, user_id, role, version, at, last_seq, sharesHistory }: Coming
): Promise<void> {
  if (!sharesHistory) {
    await sql`
      insert into absences (conversation_id, user_id, from_seq, until_seq, org_id)
      select ${conversation_id}::uuid, ${user_id}::uuid, x.from_seq, ${last_seq}::bigint, ${org_id}::uuid
      from (select coalesce((
        select p.left_seq + 1 from participants p where p.conversation_id = ${conversation_id} and p.user_id = ${user_id}), 1) as from_seq) x
      where x.from_seq <= ${last_seq}`.execute(db)
  }
  await sql`
    insert into participants as p (conversation_id, user_id, org_id, role, joined_at, version, joined_version, first_version, last_read_seq)
    values (${conversation_id}, ${user_id}, ${org_id}, ${role}, ${at}, ${version}, ${version}, ${sharesHistory ? 0 : version}, ${last_seq + 1})
    on conflict (conversation_id, user_id) do update
    set role = excluded.role, is_active = true, joined_at = excluded.joined_at, version = excluded.version,
      joined_version = excluded.joined_version, left_seq = null, archived = false,
      last_read_seq = greatest(p.last_read_seq, excluded.last_read_seq)`.execute(db)
}

/** Takes a person out of a conversation whose row is locked; they have seen it up to `last_seq`. */
export async function exit(
  db: Kysely<Tables>,
  { conversation_id, user_id, version, last_seq }: { conversation_id: string; user_id: string; version: number; last_seq: number }
): Promise<void> {
  await db
    .updateTable('participants')
    .set({ is_active: false, version, left_seq: last_seq })
    .where('conversation_id', '=', conversation_id)
    .where('user_id', '=', user_id)
    .execute()
}

export async function setRole(
  db: Kysely<Tables>,
  { conversation_id, user_id, role, version }: { conversation_id: string; user_id: string; role: Participant['role']; version: number }
): Promise<void> {
  await db
    .updateTable('participants')
    .set({ role, version })
    .where('conversation_id', '=', conversation_id)
    .where('user_id', '=', user_id)
    .execute()
}

/** Whether a conversation has an owner, one person aside. */
export async function hasOwner(db: Kysely<Tables>, conversation_id: string, { beside }: { beside: string }): Promise<boolean> {
  const row = await db
    .selectFrom('participants')
    .select('user_id')
    .where('conversation_id', '=', conversation_id)
    .where('user_id', '<>', beside)
    .where('role', '=', 'owner')
    .where('is_active', '=', true)
    .limit(1)
    .executeTakeFirst()
  return row !== undefined
}

/** Who follows the last owner: the longest-standing admin, else member, else guest; undefined where nobody is left. */
export async function findHeir(db: Kysely<Tables>, conversation_id: string): Promise<string | undefined> {
  const { rows } = await sql<{ user_id: string }>`
    select user_id from participants where conversation_id = ${conversation_id} and is_active
    order by array_position(array['admin', 'member', 'guest'], role), joined_at, user_id limit 1`.execute(db)
  return rows[0]?.user_id
}

/** The people of a conversation who stand at some versions of it, with what happened to each. */
export async function participantsAtVersions(
  db: Kysely<Tables>,
  conversation_id: string,
  versions: readonly number[]
): Promise<{ participant: Participant; version: number; hasJustCome: boolean }[]> {
  const { rows } = await sql<Participant & { version: number; has_just_come: boolean }>`
    select ${PARTICIPANT_COLUMNS}, p.version, p.joined_version = p.version as has_just_come
    from participants p join users u on u.org_id = p.org_id and u.id = p.user_id
    where p.conversation_id = ${conversation_id} and p.version = any(${versions}::bigint[])`.execute(db)
  return rows.map(({ version, has_just_come: hasJustCome, ...participant }) => ({ participant, version, hasJustCome }))
}
