import { type Kysely, sql } from '@parley/pg-kit'
import type { Tables } from '../db.ts'
import type { MessageRow, Outgoing } from '../message.ts'
import { MESSAGE_COLUMNS } from '../queries/message-columns.ts'
import type { Mentions } from './mentions.ts'

export interface Placed {
  o: number
  seq: number
  version: number
  username: string
  display_name: string
  avatar_url: string | null
  mention_all: boolean
}

/**
 * Stores a batch in one call of one database function (`send_batch` says what it locks and checks, `send_one` does the
 * same for a message that is alone) and leaves one outbox row; rows of batches that were published meanwhile go with it.
 *
 * @returns one row for each message that was stored, `o` counting from 1; what has no row was refused
 * @throws SQLSTATE 23505 when a client_message_id stands already: nothing of the batch was stored
 */
export async function insertMessages(
  db: Kysely<Tables>,
  batch: readonly Outgoing[],
  mentions: readonly Mentions[],
  { id, at, published }: { id: string; at: string; published: string[] }
): Promise<Placed[]> {
  const [only] = batch
  if (only && batch.length === 1) {
    const { rows } = await sql<Placed>`
      select * from send_one(
        ${id}, ${at}, ${only.org_id}, ${only.conversation_id}, ${only.user_id}, ${only.id}, ${only.client_message_id}, ${only.content},
        ${only.content_type}, ${only.reply_to_id}, ${only.metadata}, ${idsOf(mentions[0]!)}, ${mentions[0]!.all}, ${only.forwarded_from},
        ${published}
      )`.execute(db)
    return rows
  }
  const column = <K extends keyof Outgoing>(key: K) => batch.map(message => message[key])
  const uuids = (key: 'org_id' | 'conversation_id' | 'user_id' | 'id' | 'reply_to_id' | 'forwarded_from') =>
    `{${batch.map(message => message[key] ?? 'NULL')}}`
  const { rows } = await sql<Placed>`
    select * from send_batch(
      ${id}, ${at}, ${uuids('org_id')}, ${uuids('conversation_id')}, ${uuids('user_id')}, ${uuids('id')},
      ${column('client_message_id')}, ${column('content')}, ${column('content_type')}, ${uuids('reply_to_id')}, ${column('metadata')},
      ${mentions.map(idsOf)}, ${mentions.map(({ all }) => all)}, ${uuids('forwarded_from')}, ${published}
    )`.execute(db)
  return rows
}

/** As an array literal: arrays of arrays must be of one length in the database. */
const idsOf = ({ user_ids }: Mentions): string | null => (user_ids.length === 0 ? null : `{${user_ids}}`)

export type Standing = MessageRow & { o: number; original_content: string }

/** The messages that stand already for sends of a batch, by client_message_id. Uses messages_client_id. */
export async function findStanding(db: Kysely<Tables>, batch: readonly Outgoing[]): Promise<Standing[]> {
  const { rows } = await sql<Standing>`
    select i.o::integer as o, ${MESSAGE_COLUMNS},
      coalesce((select r.content from message_revisions r where r.message_id = m.id order by r.version limit 1), m.content) as original_content
    from unnest(${batch.map(s => s.conversation_id)}::uuid[], ${batch.map(s => s.user_id)}::uuid[], ${batch.map(s => s.client_message_id)}::text[])
      with ordinality as i (c, u, client, o)
    join messages m on m.conversation_id = i.c and m.sender_id = i.u and m.client_message_id = i.client
    join participants p on p.conversation_id = i.c and p.user_id = i.u and p.is_active
    join users u on u.org_id = m.org_id and u.id = m.sender_id`.execute(db)
  return rows
}

export interface Refusal {
  o: number
  exists: boolean
  status: string | null
  is_participant: boolean
  is_reader: boolean
  is_blocked: boolean
  reply_exists: boolean
}

/** Why sends of a batch were refused; asked only when some were. */
export async function findRefusals(db: Kysely<Tables>, batch: readonly Outgoing[]): Promise<Refusal[]> {
  const { rows } = await sql<Refusal>`
    select i.o::integer as o, c.id is not null as exists, c.status,
      exists (select from participants p where p.conversation_id = i.c and p.user_id = i.u and p.is_active) as is_participant,
      c.type = 'announcement' and exists (select from participants p
        where p.conversation_id = i.c and p.user_id = i.u and p.role not in ('owner', 'admin')) as is_reader,
      is_blocked(c.org_id, c.direct_low, c.direct_high) as is_blocked,
      i.reply is null or exists (select from messages r where r.id = i.reply and r.conversation_id = i.c and r.deleted_at is null) as reply_exists
    from unnest(${batch.map(s => s.org_id)}::uuid[], ${batch.map(s => s.conversation_id)}::uuid[], ${batch.map(s => s.user_id)}::uuid[], ${batch.map(s => s.reply_to_id)}::uuid[])
      with ordinality as i (org, c, u, reply, o)
    left join conversations c on c.id = i.c and c.org_id = i.org
    order by i.o`.execute(db)
  return rows
}
