import { Type } from '@sinclair/typebox'
import { Conversation } from './conversations.ts'
import { defineEvent } from './define.ts'
import { Count, Id, Time, Version } from './fields.ts'
import { Message } from './messages.ts'

// In what the gateway passes on, `type`, `conversation_id` and `version` come first and in this order: the hub reads the
// version at its fixed place instead of parsing (`versionOf` in the gateway; a test there holds both together).
const versioned = { conversation_id: Id, version: Version }

export const NewMessage = Type.Object({ type: Type.Literal('new_message'), ...versioned, message: Message })
export const MessageUpdated = Type.Object({ type: Type.Literal('message_updated'), ...versioned, message: Message })
export const MessageDeleted = Type.Object({ type: Type.Literal('message_deleted'), ...versioned, message: Message })

/** The types of versioned frames, as the outbox keeps them to publish a change again. */
export type ChangeType = 'new_message' | 'message_updated' | 'message_deleted'

/** A conversation of more people than are told here is left out of the event: its clients ask for it. */
export const CONVERSATION_TOLD_MAX = 100
export const ConversationAdded = Type.Object({
  type: Type.Literal('conversation_added'),
  conversation_id: Id,
  version: Version,
  conversation: Type.Optional(Conversation)
})

export const MessageRead = Type.Object({
  type: Type.Literal('message_read'),
  conversation_id: Id,
  user_id: Id,
  message_id: Id,
  seq: Count,
  read_at: Time
})

export const Unread = Type.Object({ type: Type.Literal('unread'), conversation_id: Id, unread_count: Count, unread_total: Count })

/**
 * Published after the commit, by message-store alone; at least once, grouped as it comes, possibly out of order:
 * whoever receives goes by `version`. The payload is one frame a line.
 */
export const ConversationChanged = defineEvent('evt.conversations.{conversation_id}', {
  name: 'ConversationChanged',
  summary: 'Lasting changes of one conversation, one frame a line.',
  payload: Type.Union([NewMessage, MessageUpdated, MessageDeleted])
})

export const UserChanged = defineEvent('evt.users.{org_id}.{user_id}', {
  name: 'UserChanged',
  summary: 'Lasting changes that concern one person: a conversation that came.',
  payload: ConversationAdded
})

export const ConversationMoment = defineEvent('eph.conversations.{conversation_id}', {
  name: 'ConversationMoment',
  summary: 'Read positions: worth nothing a moment later, may be lost.',
  payload: MessageRead
})

/** The header `Parley-Origin` names the connection that caused it, which is not told. */
export const UserMoment = defineEvent('eph.users.{org_id}.{user_id}', {
  name: 'UserMoment',
  summary: "Unread counts for the person's other devices, may be lost.",
  payload: Unread
})

export const ORIGIN_HEADER = 'Parley-Origin'
