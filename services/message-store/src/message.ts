import type { ChangeType, Message, MyMessage } from '@parley/contracts'
import type { Range } from './visible.ts'

/** A row of `messages` with what belongs to it, as queries give it. */
export interface MessageRow {
  id: string
  conversation_id: string
  seq: number
  version: number
  sender_id: string
  username: string
  display_name: string
  avatar_url: string | null
  content: string
  content_type: string
  reply_to_id: string | null
  reply_count: number
  metadata: Record<string, unknown> | null
  client_message_id: string | null
  created_at: string
  updated_at: string
  edited_at: string | null
  deleted_at: string | null
  pinned_at: string | null
  mentions: string[] | null
  mention_all: boolean
  forwarded_from: string | null
  reactions: Message['reactions'] | null
}

/** A message as everyone sees it: a deleted one keeps its place and loses what it said. */
export function toMessage(row: MessageRow): Message {
  const isDeleted = row.deleted_at !== null
  return {
    id: row.id,
    conversation_id: row.conversation_id,
    seq: row.seq,
    version: row.version,
    sender_id: row.sender_id,
    sender: { id: row.sender_id, username: row.username, display_name: row.display_name, avatar_url: row.avatar_url },
    content: isDeleted ? '' : row.content,
    content_type: row.content_type as Message['content_type'],
    attachments: [],
    reply_to_id: row.reply_to_id,
    reply_count: row.reply_count,
    mentions: (!isDeleted && row.mentions) || [],
    mention_all: !isDeleted && row.mention_all,
    reactions: (!isDeleted && row.reactions) || [],
    metadata: isDeleted ? {} : (row.metadata ?? {}),
    client_message_id: row.client_message_id,
    forwarded_from: row.forwarded_from,
    is_edited: row.edited_at !== null,
    edited_at: row.edited_at,
    is_deleted: isDeleted,
    deleted_at: row.deleted_at,
    is_pinned: !isDeleted && row.pinned_at !== null,
    created_at: row.created_at,
    updated_at: row.updated_at
  }
}

/** What happened to a message last. */
export function changeTypeOf({
  deleted_at,
  created_at,
  updated_at
}: Pick<MessageRow, 'deleted_at' | 'created_at' | 'updated_at'>): ChangeType {
  if (deleted_at !== null) return 'message_deleted'
  return updated_at === created_at ? 'new_message' : 'message_updated'
}

/** How far each participant has read and what they did not see: enough to say of any message who read it. */
export interface Reader {
  user_id: string
  last_read_seq: number
  hidden?: readonly Range[]
}

const READ_BY_MAX = 100

/** A message as one person sees it. `is_read`: of one's own, whether anyone else read it; of others', whether I did. */
export function toMyMessage(row: MessageRow, user_id: string, readers: readonly Reader[]): MyMessage {
  const is_mine = row.sender_id === user_id
  const read_by: string[] = []
  let byMe = false
  for (const reader of readers) {
    if (reader.last_read_seq < row.seq || reader.user_id === row.sender_id) continue
    if (reader.hidden?.some(([from, until]) => from <= row.seq && row.seq <= until)) continue
    if (reader.user_id === user_id) byMe = true
    if (read_by.length < READ_BY_MAX) read_by.push(reader.user_id)
  }
  return { ...toMessage(row), is_mine, is_read: is_mine ? read_by.length > 0 : byMe, read_by }
}

/** A message just sent, with nothing that only later life can give it; `metadata` is JSON already. */
export interface NewMessage
  extends Omit<MessageRow, 'reply_count' | 'metadata' | 'updated_at' | 'edited_at' | 'deleted_at' | 'pinned_at' | 'reactions'> {
  metadata: string | null
}

/**
 * The JSON of `toMessage` for a message just sent, in the same order; a test holds both together. Hot path: once a
 * message, for the acknowledgement and the event alike. Ids, times and numbers need no escaping.
 */
export function newMessageJson(m: NewMessage): string {
  const text = JSON.stringify
  return (
    `{"id":"${m.id}","conversation_id":"${m.conversation_id}","seq":${m.seq},"version":${m.version},"sender_id":"${m.sender_id}",` +
    `"sender":{"id":"${m.sender_id}","username":${text(m.username)},"display_name":${text(m.display_name)},"avatar_url":${text(m.avatar_url)}},` +
    `"content":${text(m.content)},"content_type":"${m.content_type}","attachments":[],` +
    `"reply_to_id":${m.reply_to_id === null ? 'null' : `"${m.reply_to_id}"`},"reply_count":0,` +
    `"mentions":${text(m.mentions ?? [])},"mention_all":${m.mention_all},"reactions":[],` +
    `"metadata":${m.metadata ?? '{}'},"client_message_id":${text(m.client_message_id)},` +
    `"forwarded_from":${m.forwarded_from === null ? 'null' : `"${m.forwarded_from}"`},"is_edited":false,"edited_at":null,` +
    `"is_deleted":false,"deleted_at":null,"is_pinned":false,"created_at":"${m.created_at}","updated_at":"${m.created_at}"}`
  )
}

/** The frame of a change, as clients get it: type, conversation and version first, where the gateway reads them. */
export function changeFrame(type: ChangeType, conversation_id: string, version: number, messageJson: string): string {
  return `{"type":"${type}","conversation_id":"${conversation_id}","version":${version},"message":${messageJson}}`
}

/** A message on its way into a batch: cleaned, with its id, waiting for its line of the reply. */
export interface Outgoing {
  readonly id: string
  readonly org_id: string
  readonly conversation_id: string
  readonly user_id: string
  readonly content: string
  readonly content_type: string
  readonly reply_to_id: string | null
  readonly client_message_id: string | null
  readonly metadata: string | null
  /** The message that this one says again, which whoever forwards it may see. */
  readonly forwarded_from: string | null
}
