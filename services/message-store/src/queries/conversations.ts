import type { Conversation, ListConversationsQuery, Participant, SharedConversation } from '@parley/contracts'
import { type Kysely, sql } from '@parley/pg-kit'
import type { Tables } from '../db.ts'
import { type MessageRow, toMyMessage } from '../message.ts'
import { MENTION_COUNT, UNREAD_COUNT } from './membership.ts'
import { MESSAGE_COLUMNS, WITH_SENDER } from './message-columns.ts'
import { IS_ARCHIVED, MINE_COLUMNS, type MineRow, toMine } from './my-membership.ts'
import { PARTICIPANT_COLUMNS } from './participants.ts'
import { escapeLike, findUsers } from './people.ts'

export const SHARED_COLUMNS = sql`
  c.id, c.org_id, c.type, c.status, c.title, c.description, c.project_id, c.created_by, c.created_at, c.updated_at, c.metadata, c.history,
  c.participant_count, c.last_message_at, c.last_seq, c.version`

interface ConversationRow extends SharedConversation, MineRow {
  direct_low: string | null
  direct_high: string | null
  unread_count: number
  mention_count: number
  first_unread_seq: number | null
}

/**
 * Conversations as one of their participants sees them, in the order of the ids given; those that are not theirs are
 * left out. Four queries, however many.
 */
export async function getConversations(
  db: Kysely<Tables>,
  { user_id, org_id }: { user_id: string; org_id: string },
  ids: readonly string[]
): Promise<Conversation[]> {
  if (ids.length === 0) return []
  const { rows } = await sql<ConversationRow>`
    select x.*, case when x.unread_count > 0 then (
      select m.seq from messages m
      where m.conversation_id = x.id and m.seq > x.last_read_seq and m.deleted_at is null and m.content_type <> 'system' order by m.seq limit 1
    ) end as first_unread_seq
    from (
      select ${SHARED_COLUMNS}, c.direct_low, c.direct_high, ${MINE_COLUMNS}, ${MENTION_COUNT} as mention_count,
        ${UNREAD_COUNT} as unread_count
      from participants p join conversations c on c.id = p.conversation_id
      where p.user_id = ${user_id} and p.org_id = ${org_id} and p.is_active and c.id = any(${ids}::uuid[])
    ) x`.execute(db)

  const found = rows.map(row => row.id)
  const participants = await firstParticipants(db, found)
  const last = await lastMessages(db, found)
  const others = rows.map(row => otherOf(row, user_id)).filter(id => id !== undefined)
  const users = new Map((others.length > 0 ? await findUsers(db, org_id, others) : []).map(user => [user.id, user]))

  const byId = new Map(
    rows.map(row => {
      const {
        direct_low,
        direct_high,
        role,
        archived,
        pinned,
        notifications,
        muted_until,
        last_read_seq,
        draft,
        unread_count,
        mention_count,
        first_unread_seq,
        ...shared
      } = row
      const people = participants.get(row.id) ?? []
      const message = last.get(row.id)
      const other = otherOf(row, user_id)
      const conversation: Conversation = {
        ...shared,
        participants: people,
        ...(other !== undefined && { participant: users.get(other) ?? null }),
        last_message: message ? toMyMessage(message, user_id, people) : null,
        unread_count,
        mention_count,
        first_unread_seq,
        my: toMine(row, shared)
      }
      return [row.id, conversation] as const
    })
  )
  return ids.map(id => byId.get(id)).filter(conversation => conversation !== undefined)
}

const otherOf = ({ direct_low, direct_high }: ConversationRow, user_id: string): string | undefined =>
  (direct_low === user_id ? direct_high : direct_low) ?? undefined

async function firstParticipants(db: Kysely<Tables>, ids: readonly string[]): Promise<Map<string, Participant[]>> {
  const { rows } = await sql<Participant & { conversation_id: string }>`
    select i.id as conversation_id, x.* from unnest(${ids}::uuid[]) as i (id)
    cross join lateral (
      select ${PARTICIPANT_COLUMNS} from participants p join users u on u.org_id = p.org_id and u.id = p.user_id
      where p.conversation_id = i.id and p.is_active order by p.joined_at, p.user_id limit 100
    ) x`.execute(db)
  const byConversation = new Map<string, Participant[]>()
  for (const { conversation_id, ...participant } of rows) {
    const list = byConversation.get(conversation_id)
    if (list) list.push(participant)
    else byConversation.set(conversation_id, [participant])
  }
  return byConversation
}

async function lastMessages(db: Kysely<Tables>, ids: readonly string[]): Promise<Map<string, MessageRow>> {
  const { rows } = await sql<MessageRow>`
    select ${MESSAGE_COLUMNS} from conversations c
    join ${WITH_SENDER} on m.conversation_id = c.id and m.seq = c.last_seq
    where c.id = any(${ids}::uuid[])`.execute(db)
  return new Map(rows.map(row => [row.conversation_id, row]))
}

export interface IdPage {
  ids: string[]
  total: number
}

/** One page of a person's conversation ids, newest activity first. */
export async function pageOfConversations(
  db: Kysely<Tables>,
  { user_id, org_id }: { user_id: string; org_id: string },
  query: ListConversationsQuery,
  { page, page_size }: { page: number; page_size: number }
): Promise<IdPage> {
  const q = query.q?.trim()
  const pattern = q ? `%${escapeLike(q)}%` : null
  const archived = query.archived ?? 'false'
  const from = sql`
    from participants p join conversations c on c.id = p.conversation_id
    where p.user_id = ${user_id} and p.org_id = ${org_id} and p.is_active
      and (${archived} = 'true' or ${IS_ARCHIVED} = (${archived} = 'only'))
      and (${query.type ?? null}::text is null or c.type = ${query.type ?? null})
      and (${query.status ?? null}::text is null or c.status = ${query.status ?? null})
      and (${query.project_id ?? null}::uuid is null or c.project_id = ${query.project_id ?? null})
      and (${query.unread ?? null}::text is null or (${UNREAD_COUNT} > 0) = (${query.unread ?? null} = 'true'))
      and (${pattern}::text is null or c.title ilike ${pattern} or exists (
        select from users u where u.org_id = c.org_id and u.id in (c.direct_low, c.direct_high) and u.id <> ${user_id}
          and (u.display_name ilike ${pattern} or u.username ilike ${pattern})))`
  const { rows: counted } = await sql<{ total: number }>`select count(*) as total ${from}`.execute(db)
  const { rows } = await sql<{ id: string }>`
    select c.id ${from}
    order by p.pinned desc, coalesce(c.last_message_at, c.created_at) desc, c.id desc
    limit ${page_size} offset ${(page - 1) * page_size}`.execute(db)
  return { ids: rows.map(row => row.id), total: counted[0]?.total ?? 0 }
}

export interface NewConversation {
  id: string
  org_id: string
  type: Conversation['type']
  project_id: string | null
  history: Conversation['history']
  title: string | null
  description: string | null
  metadata: string
  created_by: string
  /** Everyone, the creator first. */
  people: readonly string[]
  at: string
}

/**
 * Creates a conversation with its people; who creates it is its owner.
 *
 * @returns the id of the direct conversation that stands already, where there is one: the pair is unique in the database
 */
export async function insertConversation(db: Kysely<Tables>, c: NewConversation): Promise<{ id: string; created: boolean }> {
  const [low, high] = c.type === 'direct' ? [...c.people].sort() : [null, null]
  const inserted = await sql<{ id: string }>`
    insert into conversations (id, org_id, type, project_id, history, title, description, metadata, created_by, direct_low, direct_high, participant_count, created_at, updated_at)
    values (${c.id}, ${c.org_id}, ${c.type}, ${c.project_id}, ${c.history}, ${c.title}, ${c.description}, ${c.metadata}::jsonb, ${c.created_by}, ${low}, ${high}, ${c.people.length}, ${c.at}, ${c.at})
    on conflict (org_id, direct_low, direct_high) where direct_low is not null do nothing
    returning id`.execute(db)
  if (inserted.rows.length === 0) {
    const { id } = await db
      .selectFrom('conversations')
      .select('id')
      .where('org_id', '=', c.org_id)
      .where('direct_low', '=', low!)
      .where('direct_high', '=', high!)
      .executeTakeFirstOrThrow()
    return { id, created: false }
  }
  const roles = c.people.map(id => (c.type !== 'direct' && id === c.created_by ? 'owner' : 'member'))
  await sql`
    insert into participants (conversation_id, user_id, org_id, role, joined_at)
    select ${c.id}, x.id, ${c.org_id}, x.role, ${c.at} from unnest(${c.people}::uuid[], ${roles}::text[]) as x (id, role)`.execute(db)
  return { id: c.id, created: true }
}

/** The part of a conversation that is the same for everyone, and the version at which it last changed. */
export async function sharedConversation(
  db: Kysely<Tables>,
  conversation_id: string
): Promise<(SharedConversation & { changed_version: number }) | undefined> {
  const { rows } = await sql<SharedConversation & { changed_version: number }>`
    select ${SHARED_COLUMNS}, c.changed_version from conversations c where c.id = ${conversation_id}`.execute(db)
  return rows[0]
}
