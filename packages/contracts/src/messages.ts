import { type Static, Type } from '@sinclair/typebox'
import { defineRequest } from './define.ts'
import { Actor, Count, Id, Nullable, OneOf, Seq, strict, Time, Version } from './fields.ts'

/** Room for 5,000 code points, as UTF-16 units and with space to trim; the exact length is counted after cleaning. */
const Content = Type.String({ maxLength: 20_000, code: 'content_too_long' })
export const ClientMessageId = Type.String({
  minLength: 1,
  maxLength: 64,
  description:
    "Chosen by the sender, best a UUIDv7; a retry carries the same one. Everyone sees it: it is the message's key for rendering, for life."
})
export const Metadata = Type.Record(Type.String({ maxLength: 256 }), Type.Unknown(), {
  description: 'Opaque to the server, 8 KiB at most.'
})
export const ContentType = OneOf('text', 'image', 'file', 'audio', 'system', 'notification')
export const SentContentType = OneOf('text', 'image', 'file', 'audio')

export const Sender = Type.Object({
  id: Id,
  username: Type.String(),
  display_name: Type.String(),
  avatar_url: Nullable(Type.String())
})

export const Attachment = Type.Object({ id: Id }, { $id: 'Attachment', additionalProperties: true })

/**
 * Exactly what `newMessageJson` in message-store writes: change both together. What was added later is optional: the stream
 * keeps events of versions before.
 */
export const Message = Type.Object(
  {
    id: Id,
    conversation_id: Id,
    seq: Seq,
    version: Version,
    sender_id: Id,
    sender: Sender,
    content: Type.String({ description: 'Empty once deleted.' }),
    content_type: ContentType,
    attachments: Type.Array(Attachment),
    reply_to_id: Nullable(Id),
    reply_count: Count,
    mentions: Type.Array(Id, { description: 'Whom it calls by `@username`.' }),
    mention_all: Type.Optional(Type.Boolean({ description: 'It calls everyone, by `@all`.' })),
    reactions: Type.Array(Type.Object({ emoji: Type.String(), count: Count, user_ids: Type.Array(Id) })),
    metadata: Metadata,
    client_message_id: Nullable(ClientMessageId),
    forwarded_from: Type.Optional(Nullable(Id)),
    is_edited: Type.Boolean(),
    edited_at: Nullable(Time),
    is_deleted: Type.Boolean(),
    deleted_at: Nullable(Time),
    is_pinned: Type.Boolean(),
    created_at: Time,
    updated_at: Time
  },
  { $id: 'Message' }
)
export type Message = Static<typeof Message>

/** In REST answers alone, since it depends on who asks. */
export const MyMessage = Type.Composite(
  [Message, Type.Object({ is_mine: Type.Boolean(), is_read: Type.Boolean(), read_by: Type.Array(Id) })],
  { $id: 'MyMessage' }
)
export type MyMessage = Static<typeof MyMessage>

/** What a client writes to send a message: the body of a POST, and a `send_message` frame but for its conversation. */
export const MessageBody = Type.Object(
  {
    content: Content,
    content_type: Type.Optional(SentContentType),
    attachments: Type.Optional(Type.Array(Id, { maxItems: 5 })),
    reply_to_id: Type.Optional(Id),
    client_message_id: Type.Optional(ClientMessageId),
    metadata: Type.Optional(Metadata)
  },
  strict
)
export type MessageBody = Static<typeof MessageBody>

export const Send = Type.Composite([MessageBody, Type.Object({ user_id: Id, org_id: Id, conversation_id: Id })], strict)
export type Send = Static<typeof Send>

/** A message as its sender has it back; `read_by` only where it stood already and somebody has read it meanwhile. */
export const StandingMessage = Type.Composite([Message, Type.Partial(Type.Pick(MyMessage, ['read_by']))])
export type StandingMessage = Static<typeof StandingMessage>

export const SENDS_MAX = 500

/**
 * The hot request. The reply is one line a send, in order, each `{"message":…}`, `{"message":…,"duplicate":true}` or
 * `{"error":…}`: JSON has no raw line feed, so the gateway cuts the lines and passes them on without parsing. The message of a
 * duplicate has a `read_by` besides where anyone has read it (`StandingMessage`).
 */
export const SendMessages = defineRequest('messages.send', {
  summary: 'Store messages and give each its place in its conversation. Safe to retry with the same client_message_id.',
  request: Type.Object({ sends: Type.Array(Send, { minItems: 1, maxItems: SENDS_MAX }) }, strict),
  reply: Type.Any(),
  errors: [
    'conversation_not_found',
    'not_a_participant',
    'conversation_locked',
    'conversation_archived',
    'read_only',
    'blocked',
    'idempotency_mismatch'
  ],
  timeoutMs: 2_000
})

export const ForwardBody = Type.Object({ conversation_id: Id, client_message_id: Type.Optional(ClientMessageId) }, strict)

/** What it says is read on the server: a client cannot put words into somebody's mouth. */
export const ForwardMessage = defineRequest('messages.forward', {
  summary: 'Say a message again in another conversation; safe to retry with the same client_message_id.',
  request: Type.Object({ actor: Actor, message_id: Id, ...ForwardBody.properties }),
  reply: Type.Object({ message: StandingMessage, duplicate: Type.Optional(Type.Literal(true)) }),
  errors: [
    'message_not_found',
    'message_deleted',
    'conversation_not_found',
    'not_a_participant',
    'conversation_locked',
    'conversation_archived',
    'read_only',
    'blocked',
    'idempotency_mismatch'
  ]
})

const Cursor = Type.String({ minLength: 1, maxLength: 64, description: 'A message id or a seq; `before` takes a time as well.' })

export const ListMessagesQuery = Type.Object(
  {
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })),
    before: Type.Optional(Cursor),
    after: Type.Optional(Cursor),
    around: Type.Optional(Cursor),
    page: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000_000 })),
    page_size: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 }))
  },
  strict
)
export type ListMessagesQuery = Static<typeof ListMessagesQuery>

export const Pagination = Type.Object(
  { page: Count, page_size: Count, total_items: Count, total_pages: Count, has_next: Type.Boolean() },
  { $id: 'Pagination' }
)

export const MessagePage = Type.Object(
  {
    conversation_id: Id,
    messages: Type.Array(MyMessage),
    has_more: Type.Boolean({ description: 'More in the direction asked for; with `around`, on either side.' }),
    has_before: Type.Boolean(),
    has_after: Type.Boolean(),
    total: Count,
    version: Version,
    pagination: Type.Optional(Pagination)
  },
  { $id: 'MessagePage' }
)

export const ListMessages = defineRequest('messages.list', {
  summary: "Read a stretch of a conversation's messages, oldest first.",
  request: Type.Object({ actor: Actor, conversation_id: Id, query: ListMessagesQuery }),
  reply: MessagePage,
  errors: ['conversation_not_found', 'not_a_participant', 'invalid_cursor']
})

const OnMessage = Type.Object({ actor: Actor, message_id: Id })

export const GetMessage = defineRequest('messages.get', {
  summary: 'Read one message.',
  request: OnMessage,
  reply: MyMessage,
  errors: ['message_not_found', 'not_a_participant']
})

export const EditBody = Type.Object({ content: Content }, strict)

export const EditMessage = defineRequest('messages.edit', {
  summary: "Change the content of one's own message; the earlier one is kept as a revision.",
  request: Type.Object({ actor: Actor, message_id: Id, content: Content }),
  reply: Message,
  errors: [
    'message_not_found',
    'not_a_participant',
    'not_the_sender',
    'message_deleted',
    'content_empty',
    'content_too_long',
    'edit_window_passed',
    'conversation_locked',
    'conversation_archived',
    'read_only',
    'blocked'
  ]
})

export const Deleted = Type.Object({
  success: Type.Literal(true),
  message: Type.String(),
  id: Id,
  conversation_id: Id,
  version: Version,
  deleted_at: Time
})

export const DeleteMessage = defineRequest('messages.delete', {
  summary: "Delete one's own message; its place stays. A second delete answers like the first.",
  request: Type.Object({ actor: Actor, message_id: Id, conversation_id: Type.Optional(Id) }),
  reply: Type.Object({ deleted: Deleted, message: Message }),
  errors: ['message_not_found', 'not_a_participant', 'not_the_sender', 'conversation_locked', 'conversation_archived']
})

export const Revision = Type.Object({ content: Type.String(), edited_at: Time, edited_by: Id })

export const ListRevisions = defineRequest('messages.history', {
  summary: 'Read the earlier contents of a message, oldest first.',
  request: OnMessage,
  reply: Type.Object({ revisions: Type.Array(Revision) }),
  errors: ['message_not_found', 'not_a_participant']
})

export const ListReceipts = defineRequest('messages.receipts', {
  summary: 'Tell who read a message, and when.',
  request: OnMessage,
  reply: Type.Object({ read_by: Type.Array(Type.Object({ user_id: Id, read_at: Time })) }),
  errors: ['message_not_found', 'not_a_participant']
})

export const ReadBody = Type.Object(
  { message_id: Type.Optional(Id), seq: Type.Optional(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })) },
  strict
)

export const ReadReply = Type.Object({
  marked_read: Count,
  unread_count: Count,
  last_read_seq: Count,
  success: Type.Literal(true)
})

/** The position never moves back; one past the end is the end. */
export const MarkRead = defineRequest('messages.read', {
  summary: "Move the caller's read position, to the end where nothing is named.",
  request: Type.Object({
    actor: Actor,
    conversation_id: Id,
    message_id: Type.Optional(Id),
    seq: Type.Optional(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })),
    connection_id: Type.Optional(Type.String({ maxLength: 64, description: 'The socket that asks: the others are told.' }))
  }),
  reply: ReadReply,
  errors: ['conversation_not_found', 'not_a_participant', 'message_not_found']
})

export const GetUnread = defineRequest('messages.unread', {
  summary: 'Count what the caller has not read.',
  request: Type.Object({ actor: Actor }),
  reply: Type.Object({
    total: Count,
    mention_total: Count,
    conversations: Type.Array(Type.Object({ conversation_id: Id, unread_count: Count, mention_count: Count }))
  })
})
