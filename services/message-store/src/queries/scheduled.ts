import type { ErrorCode } from '@parley/contracts'
import { type Kysely, sql } from '@parley/pg-kit'
import type { Tables } from '../db.ts'
import type { Outgoing } from '../message.ts'

interface Author {
  user_id: string
  org_id: string
}

/** A scheduled message with its author. */
export interface ScheduledRow {
  id: string
  org_id: string
  conversation_id: string
  user_id: string
  username: string
  display_name: string
  avatar_url: string | null
  content: string
  first_content: string
  content_type: string
  reply_to_id: string | null
  metadata: Record<string, unknown> | null
  client_message_id: string | null
  send_at: string
  status: 'scheduled' | 'failed' | 'cancelled'
  error: string | null
  created_at: string
  updated_at: string
}

const COLUMNS = sql`
  s.id, s.org_id, s.conversation_id, s.user_id, u.username, u.display_name, u.avatar_url, s.content, s.first_content, s.content_type,
  s.reply_to_id, s.metadata, s.client_message_id, s.send_at, s.status, s.error, s.created_at, s.updated_at`

const WITH_AUTHOR = sql`scheduled_messages s join users u on u.org_id = s.org_id and u.id = s.user_id`

/** The time by the database's clock, which decides when a message is due: stores may disagree about it. */
export async function databaseTime(db: Kysely<Tables>): Promise<number> {
  const { rows } = await sql<{ now: string }>`select clock_timestamp() as now`.execute(db)
  return Date.parse(rows[0]!.now)
}

/** Has the caller's other requests to schedule something wait: what is counted and looked for stays as it is found. */
export async function lockAuthor(db: Kysely<Tables>, { user_id, org_id }: Author): Promise<void> {
  await sql`select from users where org_id = ${org_id} and id = ${user_id} for no key update`.execute(db)
}

/** What one has scheduled under a client_message_id, whatever has become of it. Uses scheduled_messages_client_id. */
export async function findScheduledAs(
  db: Kysely<Tables>,
  { conversation_id, user_id, client_message_id }: Outgoing
): Promise<ScheduledRow | undefined> {
  const { rows } = await sql<ScheduledRow>`
    select ${COLUMNS} from ${WITH_AUTHOR}
    where s.conversation_id = ${conversation_id} and s.user_id = ${user_id} and s.client_message_id = ${client_message_id}`.execute(db)
  return rows[0]
}

export async function findScheduled(db: Kysely<Tables>, { user_id, org_id }: Author, id: string): Promise<ScheduledRow | undefined> {
  const { rows } = await sql<ScheduledRow>`
    select ${COLUMNS} from ${WITH_AUTHOR} where s.id = ${id} and s.org_id = ${org_id} and s.user_id = ${user_id}`.execute(db)
  return rows[0]
}

/** What is not sent yet and what could not be, the next first. Uses scheduled_messages_mine. */
export async function listScheduled(db: Kysely<Tables>, { user_id, org_id }: Author, limit: number): Promise<ScheduledRow[]> {
  const { rows } = await sql<ScheduledRow>`
    select ${COLUMNS} from ${WITH_AUTHOR}
    where s.org_id = ${org_id} and s.user_id = ${user_id} and s.status <> 'cancelled'
    order by s.send_at, s.created_at, s.id limit ${limit}`.execute(db)
  return rows
}

export async function countScheduled(db: Kysely<Tables>, { user_id, org_id }: Author): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select count(*) as count from scheduled_messages
    where org_id = ${org_id} and user_id = ${user_id} and status <> 'cancelled'`.execute(db)
  return rows[0]!.count
}

export async function insertScheduled(db: Kysely<Tables>, m: Outgoing, send_at: string): Promise<void> {
  await sql`
    insert into scheduled_messages
      (id, org_id, conversation_id, user_id, content, first_content, content_type, reply_to_id, metadata, client_message_id, send_at, due_at)
    values (${m.id}, ${m.org_id}, ${m.conversation_id}, ${m.user_id}, ${m.content}, ${m.content}, ${m.content_type}, ${m.reply_to_id},
      ${m.metadata}::jsonb, ${m.client_message_id}, ${send_at}, ${send_at})`.execute(db)
}

/**
 * Changes what is not cancelled; undefined stays as it was. A new time has what failed tried again. Waits for whoever sends it
 * at this moment.
 *
 * @returns false where it is not there, or not there any more
 */
export async function changeScheduled(
  db: Kysely<Tables>,
  { user_id, org_id }: Author,
  id: string,
  { content = null, send_at = null }: { content: string | null | undefined; send_at: string | null | undefined }
): Promise<boolean> {
  const { rows } = await sql`
    update scheduled_messages set
      content = coalesce(${content}, content), send_at = coalesce(${send_at}::timestamptz, send_at), due_at = coalesce(${send_at}::timestamptz, due_at),
      status = case when ${send_at}::timestamptz is null then status else 'scheduled' end,
      error = case when ${send_at}::timestamptz is null then error end,
      attempts = case when ${send_at}::timestamptz is null then attempts else 0 end,
      updated_at = clock_timestamp()
    where id = ${id} and org_id = ${org_id} and user_id = ${user_id} and status <> 'cancelled'
    returning id`.execute(db)
  return rows.length > 0
}

/** What is kept of the cancelled ones of a person: enough that a request which is late does not bring one back. */
const CANCELLED_MAX = 100

/**
 * Cancels a scheduled message; what it said is gone. Waits for whoever sends it at this moment.
 *
 * @returns false where it is not there, or not there any more
 */
export async function cancelScheduled(db: Kysely<Tables>, { user_id, org_id }: Author, id: string): Promise<boolean> {
  const { rows } = await sql`
    update scheduled_messages set status = 'cancelled', content = '', metadata = null, error = null,
      updated_at = case when status = 'cancelled' then updated_at else clock_timestamp() end
    where id = ${id} and org_id = ${org_id} and user_id = ${user_id}
    returning id`.execute(db)
  if (rows.length === 0) return false
  await sql`
    delete from scheduled_messages where id in (
      select id from scheduled_messages where org_id = ${org_id} and user_id = ${user_id} and status = 'cancelled'
      order by updated_at desc offset ${CANCELLED_MAX})`.execute(db)
  return true
}

/** In how many milliseconds the next message is due, 0 or less where it is; undefined where none waits. One probe of scheduled_messages_due. */
export async function nextDue(db: Kysely<Tables>): Promise<number | undefined> {
  const { rows } = await sql<{ in_ms: number }>`
    select (extract(epoch from due_at - clock_timestamp()) * 1000)::float8 as in_ms from scheduled_messages
    where status = 'scheduled' order by due_at limit 1`.execute(db)
  return rows[0]?.in_ms
}

export type DueRow = ScheduledRow & { is_deactivated: boolean }

/** Takes messages that are due, until the transaction ends, however it does; what another store has taken is passed over. */
export async function claimDue(db: Kysely<Tables>, limit: number): Promise<DueRow[]> {
  const { rows } = await sql<DueRow>`
    select ${COLUMNS}, u.deactivated_at is not null as is_deactivated from ${WITH_AUTHOR}
    where s.status = 'scheduled' and s.due_at <= now()
    order by s.due_at, s.created_at, s.id limit ${limit} for update of s skip locked`.execute(db)
  return rows
}

/** Takes away what is sent, in the transaction that sends it. */
export async function deleteScheduled(db: Kysely<Tables>, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return
  await sql`delete from scheduled_messages where id = any(${ids}::uuid[])`.execute(db)
}

/** Keeps what was refused, for its author to see why. */
export async function failScheduled(db: Kysely<Tables>, failed: readonly { id: string; error: ErrorCode }[]): Promise<void> {
  if (failed.length === 0) return
  await sql`
    update scheduled_messages s set status = 'failed', error = i.error, updated_at = clock_timestamp()
    from unnest(${failed.map(({ id }) => id)}::uuid[], ${failed.map(({ error }) => error)}::text[]) as i (id, error)
    where s.id = i.id`.execute(db)
}

/** Tries one again later, each time twice as much later; at last it has failed. */
export async function putOff(db: Kysely<Tables>, id: string, attemptsMax: number): Promise<void> {
  await sql`
    update scheduled_messages set
      attempts = attempts + 1, due_at = clock_timestamp() + interval '1 s' * 2 ^ attempts,
      status = case when attempts + 1 >= ${attemptsMax} then 'failed' else status end,
      error = case when attempts + 1 >= ${attemptsMax} then 'internal' end, updated_at = clock_timestamp()
    where id = ${id} and status = 'scheduled'`.execute(db)
}
