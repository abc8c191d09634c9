import type { Kysely } from '@parley/pg-kit'
import type { Tables } from '../db.ts'
import type { Outgoing } from '../message.ts'
import { changeFrame, type NewMessage, newMessageJson } from '../message.ts'
import { insertMessages, type Placed } from './insert-messages.ts'
import { findMentions, type Mentions } from './mentions.ts'

/** What has become of messages that were stored together. */
export interface Stored {
  readonly placed: readonly Placed[]
  readonly mentions: readonly Mentions[]
}

/** Finds whom messages call and stores them, as `insertMessages` says. */
export async function storeMessages(
  db: Kysely<Tables>,
  messages: readonly Outgoing[],
  batch: { id: string; at: string; published: string[] }
): Promise<Stored> {
  const mentions = await findMentions(db, messages)
  return { placed: await insertMessages(db, messages, mentions, batch), mentions }
}

/** The frames that tell of messages, at their places; none where one was refused. */
export function framesOf(messages: readonly Outgoing[], { placed, mentions }: Stored, at: string): (Buffer | undefined)[] {
  const frames: (Buffer | undefined)[] = Array.from(messages, () => undefined)
  for (const row of placed) {
    const index = row.o - 1
    const message = messages[index]!
    const json = newMessageJson(asNew(message, row, mentions[index]!, at))
    frames[index] = Buffer.from(changeFrame('new_message', message.conversation_id, row.version, json))
  }
  return frames
}

/** Frames by their conversation, in their order. */
export function byConversation(messages: readonly Outgoing[], frames: readonly (Buffer | undefined)[]): Map<string, Buffer[]> {
  const found = new Map<string, Buffer[]>()
  messages.forEach(({ conversation_id }, index) => {
    const frame = frames[index]
    if (!frame) return
    const ofConversation = found.get(conversation_id)
    if (ofConversation) ofConversation.push(frame)
    else found.set(conversation_id, [frame])
  })
  return found
}

/** Field by field, since this runs once a message: by rest and spread its fields were copied twice by name. */
function asNew(
  m: Outgoing,
  { seq, version, username, display_name, avatar_url, mention_all }: Placed,
  { user_ids }: Mentions,
  created_at: string
): NewMessage {
  return {
    id: m.id,
    conversation_id: m.conversation_id,
    seq,
    version,
    sender_id: m.user_id,
    username,
    display_name,
    avatar_url,
    content: m.content,
    content_type: m.content_type,
    reply_to_id: m.reply_to_id,
    mentions: user_ids,
    mention_all,
    metadata: m.metadata,
    client_message_id: m.client_message_id,
    forwarded_from: m.forwarded_from,
    created_at
  }
}
