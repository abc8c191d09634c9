import { type Static, type TSchema, Type } from '@sinclair/typebox'
import { Changes, Cursors } from './changes.ts'
import { defineFrame } from './define.ts'
import {
  ConversationAdded,
  ConversationRemoved,
  ConversationUpdated,
  MembershipUpdated,
  MessageDeleted,
  MessageRead,
  MessageUpdated,
  NewMessage,
  ParticipantAdded,
  ParticipantRemoved,
  ParticipantUpdated,
  Unread
} from './events.ts'
import { Count, Id, Nullable, strict, Time, Version } from './fields.ts'
import { EditBody, Message, MessageBody } from './messages.ts'
import { Emoji } from './reactions.ts'

export const FRAME_MAX_BYTES = 64 * 1024
export const TOKEN_MAX = 8_192

const FrameId = Type.Optional(Type.String({ minLength: 1, maxLength: 128, description: 'Comes back in the one ack or error.' }))

function fromClient<T extends string, P extends Record<string, TSchema>>(type: T, summary: string, properties: P) {
  return defineFrame({
    type,
    from: 'client',
    summary,
    schema: Type.Object({ type: Type.Literal(type), id: FrameId, ...properties }, strict)
  })
}

export const AuthFrame = fromClient('auth', 'Authenticate, within 5 s of opening; later, renew a token that expires.', {
  token: Type.String({ minLength: 1, maxLength: TOKEN_MAX })
})
export const ResumeFrame = fromClient('resume', 'After a reconnect: what was missed comes as sync frames, then `resumed`.', {
  cursors: Cursors
})
export const JoinFrame = fromClient('join', 'I have this conversation open.', { conversation_id: Id })
export const LeaveFrame = fromClient('leave', 'I no longer have this conversation open.', { conversation_id: Id })
export const SendMessageFrame = fromClient('send_message', 'Send a message; acknowledged once it is durable.', {
  conversation_id: Id,
  ...MessageBody.properties
})
export const EditMessageFrame = fromClient('edit_message', "Edit one's own message.", { message_id: Id, ...EditBody.properties })
export const DeleteMessageFrame = fromClient('delete_message', "Delete one's own message.", { message_id: Id })
export const AddReactionFrame = fromClient('add_reaction', 'React to a message.', { message_id: Id, emoji: Emoji })
export const RemoveReactionFrame = fromClient('remove_reaction', "Take one's reaction back.", { message_id: Id, emoji: Emoji })
export const MarkReadFrame = fromClient('mark_read', "Move one's read position.", {
  conversation_id: Id,
  message_id: Type.Optional(Id),
  seq: Type.Optional(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }))
})
export const PingFrame = fromClient('ping', 'Answered by `pong`.', {})

function fromServer<S extends TSchema>(type: string, summary: string, schema: S) {
  return defineFrame({ type, from: 'server', summary, schema })
}
const server = <P extends Record<string, TSchema>>(type: string, summary: string, properties: P) =>
  fromServer(type, summary, Type.Object({ type: Type.Literal(type), ...properties }))

export const Limits = Type.Object(
  {
    content_max: Count,
    file_max_bytes: Count,
    files_per_message: Count,
    file_types: Type.Array(Type.String()),
    frame_max_bytes: Count,
    rates: Type.Record(Type.String(), Nullable(Type.Object({ max: Count, window_seconds: Count })))
  },
  { $id: 'Limits' }
)
export type Limits = Static<typeof Limits>

export const ReadyFrame = server('ready', 'The live subscriptions stand: what is committed from here on reaches this socket.', {
  connection_id: Id,
  user_id: Id,
  server_time: Time,
  heartbeat_interval_ms: Count,
  reconnect_max_jitter_ms: Count,
  token_expires_at: Time,
  unread_total: Count,
  conversations: Type.Array(Type.Object({ id: Id, version: Version, unread_count: Count })),
  limits: Limits
})
export const AckFrame = server('ack', 'The one answer to a frame that succeeded.', {
  id: FrameId,
  message: Type.Optional(Message),
  duplicate: Type.Optional(Type.Literal(true)),
  conversation_id: Type.Optional(Id),
  version: Type.Optional(Version),
  presence: Type.Optional(Type.Array(Type.Any())),
  last_read_seq: Type.Optional(Count),
  unread_count: Type.Optional(Count)
})
export const ErrorFrame = server('error', 'The one answer to a frame that did not succeed.', {
  id: FrameId,
  code: Type.String(),
  detail: Type.String(),
  status: Type.Integer(),
  ws_code: Type.Optional(Type.Integer()),
  retryable: Type.Boolean(),
  retry_after_ms: Type.Optional(Count),
  errors: Type.Optional(Type.Array(Type.Object({ path: Type.String(), message: Type.String() }), { description: 'Each field at fault.' }))
})
fromServer('new_message', 'A message was sent.', NewMessage)
fromServer('message_updated', 'A message was changed.', MessageUpdated)
fromServer('message_deleted', 'A message was deleted.', MessageDeleted)
fromServer('participant_added', 'Someone is in the conversation now.', ParticipantAdded)
fromServer('participant_updated', "Someone's role changed.", ParticipantUpdated)
fromServer('participant_removed', 'Someone left or was removed.', ParticipantRemoved)
fromServer('conversation_updated', 'What everyone sees of a conversation changed: title, status and the like.', ConversationUpdated)
fromServer('conversation_added', 'You are in a conversation now.', ConversationAdded)
fromServer('conversation_removed', 'You are no longer in a conversation: nothing more of it follows.', ConversationRemoved)
fromServer('sync', 'What was missed between two versions.', Type.Composite([Type.Object({ type: Type.Literal('sync') }), Changes]))
server('resumed', 'All that a resume asked for has been sent.', {
  id: FrameId,
  complete: Type.Boolean(),
  removed: Type.Optional(Type.Array(Id, { description: 'Not yours any more: forget what you hold of them.' })),
  reset: Type.Optional(Type.Array(Id, { description: 'Your cursor is newer than the conversation: read it anew.' }))
})
fromServer('message_read', "Someone's read position moved.", MessageRead)
fromServer('unread', 'Your unread count, from another of your devices.', Unread)
fromServer('membership_updated', 'What a conversation is to you alone changed, on any of your devices.', MembershipUpdated)
server('token_expiring', 'The token ends in a minute: send `auth` with a new one.', { expires_at: Time })
server('reconnect', 'The server is about to restart: come back after the delay.', { delay_ms: Count })
server('pong', 'The answer to `ping`.', {})
