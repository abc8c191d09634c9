import type { Participant, SharedConversation } from '@parley/contracts'
import { type Kysely, sql } from '@parley/pg-kit'
import type { Tables } from '../db.ts'
import type { MessageRow } from '../message.ts'
import { SHARED_COLUMNS } from './conversations.ts'
import { isHiddenFrom } from './membership.ts'
import { MESSAGE_COLUMNS, WITH_SENDER } from './message-columns.ts'
import { PARTICIPANT_COLUMNS } from './participants.ts'

/** What is asked for of a conversation: what changed after one version and up to another. */
export interface Since {
  conversation_id: string
  since: number
  version: number
}

/** `i (id, since, version, o)`: the conversations in the order given. */
const wantedAs = (wanted: readonly Since[]) => sql`
  unnest(${wanted.map(w => w.conversation_id)}::uuid[], ${wanted.map(w => w.since)}::bigint[], ${wanted.map(w => w.version)}::bigint[])
    with ordinality as i (id, since, version, o)`

/** The part of conversations that is the same for everyone, of those that changed since a version. */
export async function changedConversations(db: Kysely<Tables>, wanted: readonly Since[]): Promise<SharedConversation[]> {
  const { rows } = await sql<SharedConversation>`
    select ${SHARED_COLUMNS} from ${wantedAs(wanted)} join conversations c on c.id = i.id where c.changed_version > i.since`.execute(db)
  return rows
}

/** Participants that changed, who left as well: conversation by conversation in the order given, `limit` in all. */
export async function changedParticipants(
  db: Kysely<Tables>,
  wanted: readonly Since[],
  limit: number
): Promise<(Participant & { conversation_id: string; version: number })[]> {
  const { rows } = await sql<Participant & { conversation_id: string; version: number }>`
    select i.id as conversation_id, x.* from ${wantedAs(wanted)}
    cross join lateral (
      select ${PARTICIPANT_COLUMNS}, p.version from participants p join users u on u.org_id = p.org_id and u.id = p.user_id
      where p.conversation_id = i.id and p.version > i.since and p.version <= i.version order by p.version, p.user_id limit ${limit}
    ) x
    order by i.o, x.version, x.user_id
    limit ${limit}`.execute(db)
  return rows
}

/**
 * Messages that changed, but for those that are hidden from a person: conversation by conversation in the order given,
 * `limit` in all. Uses messages_version, and for who came later only the part of it from their coming on.
 *
 * @param user_id null where the answer is for the service itself
 */
export async function changedMessages(
  db: Kysely<Tables>,
  wanted: readonly Since[],
  limit: number,
  user_id: string | null
): Promise<MessageRow[]> {
  const { rows } = await sql<MessageRow>`
    select x.* from ${wantedAs(wanted)}
    left join participants p on p.conversation_id = i.id and p.user_id = ${user_id}::uuid
    cross join lateral (
      select ${MESSAGE_COLUMNS} from ${WITH_SENDER}
      where m.conversation_id = i.id and m.version > greatest(i.since, p.first_version) and m.version <= i.version and not ${isHiddenFrom(user_id)}
      order by m.version limit ${limit}
    ) x
    order by i.o, x.version
    limit ${limit}`.execute(db)
  return rows
}

/** The first version after one by which somebody who is in a conversation came, or somebody who is out left. */
export async function firstMembershipChange(db: Kysely<Tables>, conversation_id: string, since: number): Promise<number | undefined> {
  const { rows } = await sql<{ version: number | null }>`
    select min(case when p.is_active then p.joined_version else p.version end) as version
    from participants p
    where p.conversation_id = ${conversation_id} and (case when p.is_active then p.joined_version else p.version end) > greatest(${since}::bigint, 1)`.execute(
    db
  )
  return rows[0]?.version ?? undefined
}
