import { Type } from '@sinclair/typebox'
import { ConversationMessages, ConversationMessagesQuery } from '../conversations.ts'
import { defineRoute } from '../define.ts'
import { Id, strict } from '../fields.ts'
import {
  Deleted,
  DeleteMessage,
  EditBody,
  EditMessage,
  ForwardBody,
  GetUnread,
  ListMessagesQuery,
  ListReceipts,
  ListRevisions,
  MessagePage,
  MyMessage,
  ReadBody,
  ReadReply
} from '../messages.ts'
import { AddReaction, Emoji, ListPins, ListReplies, PIN_ERRORS, REACTION_ERRORS, RepliesQuery } from '../reactions.ts'
import { PostedMessage, ScheduledMessage, Standing } from '../scheduled.ts'
import { NO_ACCESS, OfConversation, OfMessage, PathId } from './params.ts'

const OfReaction = Type.Object({ message_id: PathId, emoji: Emoji })
const NO_MESSAGE = ['message_not_found', 'not_a_participant'] as const
const SEND_ERRORS = [
  ...NO_ACCESS,
  'content_empty',
  'content_too_long',
  'conversation_locked',
  'conversation_archived',
  'read_only',
  'blocked',
  'invalid_reply',
  'idempotency_mismatch'
] as const

/** Messages and how far they were read. */
export const messagesRoutes = {
  listMessages: defineRoute({
    method: 'GET',
    path: '/conversations/{conversation_id}/messages',
    tag: 'messages',
    summary: 'Read a stretch of the history, oldest first; by cursor or by page.',
    params: OfConversation,
    query: ListMessagesQuery,
    replies: { 200: MessagePage },
    errors: [...NO_ACCESS, 'invalid_cursor']
  }),
  conversationMessages: defineRoute({
    method: 'GET',
    path: '/messages/conversations/{conversation_id}',
    tag: 'messages',
    summary: 'Read a page of messages with their conversation at once, as one of the source designs has it.',
    deprecated: true,
    params: OfConversation,
    query: ConversationMessagesQuery,
    replies: { 200: ConversationMessages },
    errors: [...NO_ACCESS, 'invalid_cursor']
  }),
  sendMessage: defineRoute({
    method: 'POST',
    path: '/conversations/{conversation_id}/messages',
    tag: 'messages',
    summary:
      'Send a message: 201 once it is durable, 202 where `send_at` has it sent later. 200 with `duplicate` for a client_message_id that was sent before.',
    params: OfConversation,
    body: PostedMessage,
    replies: { 202: ScheduledMessage, 201: MyMessage, 200: Standing },
    errors: [...SEND_ERRORS, 'attachment_not_found', 'scheduled_full']
  }),
  sendToPerson: defineRoute({
    method: 'POST',
    path: '/messages',
    tag: 'messages',
    summary: 'Send a message to a person; the direct conversation is made where there is none.',
    body: Type.Object({ recipient_id: Id, ...PostedMessage.properties }, strict),
    replies: { 202: ScheduledMessage, 201: MyMessage, 200: Standing },
    errors: [...SEND_ERRORS, 'attachment_not_found', 'scheduled_full', 'user_not_found', 'self_conversation']
  }),
  getMessage: defineRoute({
    method: 'GET',
    path: '/messages/{message_id}',
    tag: 'messages',
    summary: 'Read one message.',
    params: OfMessage,
    replies: { 200: MyMessage },
    errors: NO_MESSAGE
  }),
  editMessage: defineRoute({
    method: 'PATCH',
    path: '/messages/{message_id}',
    tag: 'messages',
    summary: 'Edit my message.',
    params: OfMessage,
    body: EditBody,
    replies: { 200: MyMessage },
    errors: EditMessage.errors
  }),
  deleteMessage: defineRoute({
    method: 'DELETE',
    path: '/messages/{message_id}',
    tag: 'messages',
    summary: 'Delete my message; its place stays.',
    params: OfMessage,
    replies: { 200: Deleted },
    errors: DeleteMessage.errors
  }),
  deleteMessageIn: defineRoute({
    method: 'DELETE',
    path: '/conversations/{conversation_id}/messages/{message_id}',
    tag: 'messages',
    summary: 'Delete my message; its place stays.',
    params: Type.Object({ conversation_id: PathId, message_id: PathId }),
    replies: { 200: Deleted },
    errors: DeleteMessage.errors
  }),
  history: defineRoute({
    method: 'GET',
    path: '/messages/{message_id}/history',
    tag: 'messages',
    summary: 'Read the earlier contents of a message.',
    params: OfMessage,
    replies: { 200: ListRevisions.reply },
    errors: NO_MESSAGE
  }),
  receipts: defineRoute({
    method: 'GET',
    path: '/messages/{message_id}/receipts',
    tag: 'messages',
    summary: 'Tell who read a message, and when.',
    params: OfMessage,
    replies: { 200: ListReceipts.reply },
    errors: NO_MESSAGE
  }),
  forward: defineRoute({
    method: 'POST',
    path: '/messages/{message_id}/forward',
    tag: 'messages',
    summary: 'Say a message again in another conversation of mine. 201, or 200 with `duplicate` as for a send.',
    params: OfMessage,
    body: ForwardBody,
    replies: { 201: MyMessage, 200: MyMessage },
    errors: ['message_not_found', 'message_deleted', ...SEND_ERRORS]
  }),
  replies: defineRoute({
    method: 'GET',
    path: '/messages/{message_id}/replies',
    tag: 'messages',
    summary: 'Read the replies to a message, oldest first.',
    params: OfMessage,
    query: RepliesQuery,
    replies: { 200: ListReplies.reply },
    errors: NO_MESSAGE
  }),
  addReaction: defineRoute({
    method: 'PUT',
    path: '/messages/{message_id}/reactions/{emoji}',
    tag: 'messages',
    summary: 'React to a message with an emoji; a second time changes nothing.',
    params: OfReaction,
    replies: { 200: MyMessage },
    errors: AddReaction.errors
  }),
  removeReaction: defineRoute({
    method: 'DELETE',
    path: '/messages/{message_id}/reactions/{emoji}',
    tag: 'messages',
    summary: 'Take my reaction back.',
    params: OfReaction,
    replies: { 200: MyMessage },
    errors: REACTION_ERRORS
  }),
  pin: defineRoute({
    method: 'PUT',
    path: '/messages/{message_id}/pin',
    tag: 'messages',
    summary: 'Pin a message: everyone in direct and group conversations, owners and admins elsewhere.',
    params: OfMessage,
    replies: { 200: MyMessage },
    errors: [...PIN_ERRORS, 'too_many_pins']
  }),
  unpin: defineRoute({
    method: 'DELETE',
    path: '/messages/{message_id}/pin',
    tag: 'messages',
    summary: 'Take the pin off a message.',
    params: OfMessage,
    replies: { 200: MyMessage },
    errors: PIN_ERRORS
  }),
  pins: defineRoute({
    method: 'GET',
    path: '/conversations/{conversation_id}/pins',
    tag: 'messages',
    summary: 'List what is pinned, the newest pin first.',
    params: OfConversation,
    replies: { 200: ListPins.reply },
    errors: NO_ACCESS
  }),
  markRead: defineRoute({
    method: 'PATCH',
    path: '/conversations/{conversation_id}/read',
    tag: 'messages',
    summary: 'Move my read position; to the end where nothing is named.',
    params: OfConversation,
    body: ReadBody,
    replies: { 200: ReadReply },
    errors: [...NO_ACCESS, 'message_not_found']
  }),
  markReadByPost: defineRoute({
    method: 'POST',
    path: '/conversations/{conversation_id}/read',
    tag: 'messages',
    summary: 'Move my read position; to the end where nothing is named.',
    params: OfConversation,
    body: ReadBody,
    replies: { 200: ReadReply },
    errors: [...NO_ACCESS, 'message_not_found']
  }),
  unread: defineRoute({
    method: 'GET',
    path: '/unread',
    tag: 'messages',
    summary: 'Count what I have not read.',
    replies: { 200: GetUnread.reply },
    errors: []
  })
}
