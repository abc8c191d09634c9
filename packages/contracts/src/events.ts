import { Type } from '@sinclair/typebox'
import { Conversation, Mine, Participant, SharedConversation } from './conversations.ts'
import { defineEvent } from './define.ts'
import { Count, Id, Time, Version } from './fields.ts'
import { Message } from './messages.ts'

// In what the gateway passes on, `type`, `conversation_id` and `version` come first and in this order: the hub reads the
// version at its fixed place instead of parsing (`versionOf` in the gateway; a test there holds both together).
const versioned = { conversation_id: Id, version: Version }

export const NewMessage = Type.Object({ type: Type.Literal('new_message'), ...versioned, message: Message })
export const MessageUpdated = Type.Object({ type: Type.Literal('message_updated'), ...versioned, message: Message })
export const MessageDeleted = Type.Object({ type: Type.Literal('message_deleted'), ...versioned, message: Message })

/** The types of versioned frames about a message, as the outbox keeps them to publish a change again. */
export type ChangeType = 'new_message' | 'message_updated' | 'message_deleted'

export const ParticipantAdded = Type.Object({ type: Type.Literal('participant_added'), ...versioned, participant: Participant })
export const ParticipantUpdated = Type.Object({ type: Type.Literal('participant_updated'), ...versioned, participant: Participant })
/** `participant.is_active` is false. It is the last change that whoever was removed may be told of. */
export const ParticipantRemoved = Type.Object({ type: Type.Literal('participant_removed'), ...versioned, participant: Participant })

/** The types of versioned frames about who is in a conversation. */
export type ParticipantChangeType = 'participant_added' | 'participant_updated' | 'participant_removed'

export const ConversationUpdated = Type.Object({
  type: Type.Literal('conversation_updated'),
  ...versioned,
  conversation: SharedConversation
})

/** A conversation of more people than are told here is left out of the event: its clients ask for it. */
export const CONVERSATION_TOLD_MAX = 100
export const ConversationAdded = Type.Object({
  type: Type.Literal('conversation_added'),
  conversation_id: Id,
  version: Version,
  conversation: Type.Optional(Conversation)
})
/** `version` is that of the change by which the person is no longer in it; a later `conversation_added` has a higher one. */
export const ConversationRemoved = Type.Object({ type: Type.Literal('conversation_removed'), conversation_id: Id, version: Version })

export const MessageRead = Type.Object({
  type: Type.Literal('message_read'),
  conversation_id: Id,
  user_id: Id,
  message_id: Id,
  seq: Count,
  read_at: Time
})

export const Unread = Type.Object({ type: Type.Literal('unread'), conversation_id: Id, unread_count: Count, unread_total: Count })

/** Put away, pinned, muted, or half a message written: what a conversation is to me alone. */
export const MembershipUpdated = Type.Object({ type: Type.Literal('membership_updated'), conversation_id: Id, my: Mine })

const Change = Type.Union([
  NewMessage,
  MessageUpdated,
  MessageDeleted,
  ParticipantAdded,
  ParticipantUpdated,
  ParticipantRemoved,
  ConversationUpdated
])

/** The types of frames that are lasting changes: those that have a version, and reach a client in its order. */
export const CHANGE_TYPES: ReadonlySet<string> = new Set(Change.anyOf.map(({ properties }) => properties.type.const))

/**
 * Published after the commit, by message-store alone; at least once, grouped as it comes, possibly out of order:
 * whoever receives goes by `version`. The payload is one frame a line. For those who are live: kept nowhere.
 */
export const ConversationChanged = defineEvent('evt.conversations.{conversation_id}', {
  name: 'ConversationChanged',
  summary: 'Lasting changes of one conversation, one frame a line.',
  payload: Change
})

/**
 * The same frames once more, of all conversations together: kept in a stream for those who read later. One message at a
 * time is on its way into it, so it holds what was committed while the last one was written.
 */
export const ChangeLog = defineEvent('log.changes', {
  name: 'ChangeLog',
  summary: 'Lasting changes of all conversations, one frame a line.',
  payload: Change
})

export const UserChanged = defineEvent('evt.users.{org_id}.{user_id}', {
  name: 'UserChanged',
  summary: 'Lasting changes that concern one person: a conversation that came or went.',
  payload: Type.Union([ConversationAdded, ConversationRemoved])
})

export const ConversationMoment = defineEvent('eph.conversations.{conversation_id}', {
  name: 'ConversationMoment',
  summary: 'Read positions: worth nothing a moment later, may be lost.',
  payload: MessageRead
})

/** A conversation of more people than this tells its passing events only to those who have it open. */
export const MOMENTS_TOLD_MAX = 100
export const ViewersMoment = defineEvent('eph.viewers.{conversation_id}', {
  name: 'ViewersMoment',
  summary: 'As ConversationMoment, of a large conversation: for gateways with sockets that have it open.',
  payload: MessageRead
})

/** The header `Parley-Origin` names the connection that caused it, which is not told. */
export const UserMoment = defineEvent('eph.users.{org_id}.{user_id}', {
  name: 'UserMoment',
  summary: "Unread counts, drafts and the like for the person's other devices, may be lost.",
  payload: Type.Union([Unread, MembershipUpdated])
})

export const ORIGIN_HEADER = 'Parley-Origin'
