import { Type } from '@sinclair/typebox'
import {
  AddParticipantBody,
  ChangeParticipantBody,
  Changes,
  ChangesQuery,
  Conversation,
  ConversationPage,
  CreateConversationBody,
  ListConversationsQuery,
  PageQuery,
  Participant,
  ParticipantPage,
  SyncBody,
  SyncReply
} from './conversations.ts'
import { defineRoute } from './define.ts'
import { Me, NAME_MAX, Organization, Settings, User } from './directory.ts'
import { Count, Id, strict } from './fields.ts'
import { Limits, TOKEN_MAX } from './frames.ts'
import {
  Deleted,
  EditBody,
  GetUnread,
  ListMessagesQuery,
  ListReceipts,
  ListRevisions,
  MessageBody,
  MessagePage,
  MyMessage,
  ReadBody,
  ReadReply
} from './messages.ts'

const PathId = Type.String({ format: 'uuid', code: 'invalid_id' })
const OfConversation = Type.Object({ conversation_id: PathId })
const OfMessage = Type.Object({ message_id: PathId })
const OfParticipant = Type.Object({ conversation_id: PathId, user_id: PathId })
const OfUser = Type.Object({ user_id: PathId })
const NO_ACCESS = ['conversation_not_found', 'not_a_participant'] as const
const NO_MESSAGE = ['message_not_found', 'not_a_participant'] as const
const MEMBERSHIP_ERRORS = [...NO_ACCESS, 'forbidden', 'direct_conversation', 'user_not_found'] as const
const SEND_ERRORS = [
  ...NO_ACCESS,
  'content_empty',
  'content_too_long',
  'conversation_locked',
  'conversation_archived',
  'invalid_reply',
  'idempotency_mismatch'
] as const

export const Config = Type.Object(
  {
    limits: Limits,
    heartbeat_interval_ms: Count,
    reconnect_max_jitter_ms: Count,
    features: Type.Record(Type.String(), Type.Boolean()),
    demo: Type.Boolean()
  },
  { $id: 'Config' }
)

export const ROUTES = {
  config: defineRoute({
    method: 'GET',
    path: '/config',
    tag: 'people',
    summary: 'Read the limits and features of this server.',
    public: true,
    replies: { 200: Config },
    errors: []
  }),
  me: defineRoute({ method: 'GET', path: '/me', tag: 'people', summary: 'Read who I am.', replies: { 200: Me }, errors: [] }),
  updateMe: defineRoute({
    method: 'PATCH',
    path: '/me',
    tag: 'people',
    summary: 'Keep my settings.',
    body: Type.Object({ settings: Settings }, strict),
    replies: { 200: Me },
    errors: []
  }),
  listUsers: defineRoute({
    method: 'GET',
    path: '/users',
    tag: 'people',
    summary: 'List people of my organization.',
    query: Type.Object(
      { q: Type.Optional(Type.String({ maxLength: NAME_MAX })), limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })) },
      strict
    ),
    replies: { 200: Type.Object({ users: Type.Array(User) }) },
    errors: []
  }),
  getUser: defineRoute({
    method: 'GET',
    path: '/users/{user_id}',
    tag: 'people',
    summary: 'Read one person.',
    params: OfUser,
    replies: { 200: User },
    errors: ['user_not_found']
  }),

  listConversations: defineRoute({
    method: 'GET',
    path: '/conversations',
    tag: 'conversations',
    summary: 'List my conversations, newest activity first.',
    query: ListConversationsQuery,
    replies: { 200: ConversationPage },
    errors: []
  }),
  createConversation: defineRoute({
    method: 'POST',
    path: '/conversations',
    tag: 'conversations',
    summary: 'Create a conversation; I am its owner.',
    body: CreateConversationBody,
    replies: { 201: Conversation, 200: Conversation },
    errors: ['user_not_found', 'self_conversation']
  }),
  directConversation: defineRoute({
    method: 'POST',
    path: '/conversations/dm/{user_id}',
    tag: 'conversations',
    summary: 'Give my direct conversation with a person, made where there is none.',
    params: OfUser,
    replies: { 201: Conversation, 200: Conversation },
    errors: ['user_not_found', 'self_conversation']
  }),
  getConversation: defineRoute({
    method: 'GET',
    path: '/conversations/{conversation_id}',
    tag: 'conversations',
    summary: 'Read one conversation.',
    params: OfConversation,
    replies: { 200: Conversation },
    errors: NO_ACCESS
  }),
  listParticipants: defineRoute({
    method: 'GET',
    path: '/conversations/{conversation_id}/participants',
    tag: 'conversations',
    summary: 'List who is in a conversation.',
    params: OfConversation,
    query: PageQuery,
    replies: { 200: ParticipantPage },
    errors: NO_ACCESS
  }),
  addParticipant: defineRoute({
    method: 'POST',
    path: '/conversations/{conversation_id}/participants',
    tag: 'conversations',
    summary: 'Add a person, for owners and admins. 200 and unchanged for who is in already.',
    params: OfConversation,
    body: AddParticipantBody,
    replies: { 201: Participant, 200: Participant },
    errors: [...MEMBERSHIP_ERRORS, 'conversation_full']
  }),
  changeParticipant: defineRoute({
    method: 'PATCH',
    path: '/conversations/{conversation_id}/participants/{user_id}',
    tag: 'conversations',
    summary: "Change a participant's role, for owners and admins; owners are made and unmade by owners.",
    params: OfParticipant,
    body: ChangeParticipantBody,
    replies: { 200: Participant },
    errors: MEMBERSHIP_ERRORS
  }),
  removeParticipant: defineRoute({
    method: 'DELETE',
    path: '/conversations/{conversation_id}/participants/{user_id}',
    tag: 'conversations',
    summary: 'Remove a participant, for owners and admins; or myself, which is leaving.',
    params: OfParticipant,
    replies: { 204: null },
    errors: MEMBERSHIP_ERRORS
  }),

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
  sendMessage: defineRoute({
    method: 'POST',
    path: '/conversations/{conversation_id}/messages',
    tag: 'messages',
    summary: 'Send a message. 201 once it is durable; 200 with `duplicate` for a client_message_id that was sent before.',
    params: OfConversation,
    body: MessageBody,
    replies: { 201: MyMessage, 200: MyMessage },
    errors: SEND_ERRORS
  }),
  sendToPerson: defineRoute({
    method: 'POST',
    path: '/messages',
    tag: 'messages',
    summary: 'Send a message to a person; the direct conversation is made where there is none.',
    body: Type.Object({ recipient_id: Id, ...MessageBody.properties }, strict),
    replies: { 201: MyMessage, 200: MyMessage },
    errors: [...SEND_ERRORS, 'user_not_found', 'self_conversation']
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
    errors: [...NO_MESSAGE, 'not_the_sender', 'message_deleted', 'content_empty', 'content_too_long']
  }),
  deleteMessage: defineRoute({
    method: 'DELETE',
    path: '/messages/{message_id}',
    tag: 'messages',
    summary: 'Delete my message; its place stays.',
    params: OfMessage,
    replies: { 200: Deleted },
    errors: [...NO_MESSAGE, 'not_the_sender']
  }),
  deleteMessageIn: defineRoute({
    method: 'DELETE',
    path: '/conversations/{conversation_id}/messages/{message_id}',
    tag: 'messages',
    summary: 'Delete my message; its place stays.',
    params: Type.Object({ conversation_id: PathId, message_id: PathId }),
    replies: { 200: Deleted },
    errors: [...NO_MESSAGE, 'not_the_sender']
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
  }),
  changes: defineRoute({
    method: 'GET',
    path: '/conversations/{conversation_id}/changes',
    tag: 'live',
    summary: 'Tell what changed since a version.',
    params: OfConversation,
    query: ChangesQuery,
    replies: { 200: Changes },
    errors: [...NO_ACCESS, 'invalid_cursor']
  }),
  sync: defineRoute({
    method: 'POST',
    path: '/sync',
    tag: 'live',
    summary: 'Tell what changed in many conversations since the versions held.',
    body: SyncBody,
    replies: { 200: SyncReply },
    errors: []
  }),
  ticket: defineRoute({
    method: 'POST',
    path: '/ws/ticket',
    tag: 'live',
    summary: 'Give a ticket for one connect of the WebSocket.',
    replies: { 200: Type.Object({ ticket: Type.String(), expires_in_seconds: Count }) },
    errors: ['unavailable']
  }),

  demoPeople: defineRoute({
    method: 'GET',
    path: '/demo/people',
    tag: 'demo',
    summary: 'List the people of the demo organization. Only where `demo` is on.',
    public: true,
    replies: { 200: Type.Object({ organization: Organization, people: Type.Array(User) }) },
    errors: ['not_found']
  }),
  demoSignIn: defineRoute({
    method: 'POST',
    path: '/demo/sign-in',
    tag: 'demo',
    summary: 'Give a token of a person of the demo organization. Only where `demo` is on.',
    public: true,
    body: Type.Object({ user_id: Id }, strict),
    replies: { 200: Type.Object({ token: Type.String({ maxLength: TOKEN_MAX }), expires_in_seconds: Count }) },
    errors: ['not_found', 'user_not_found']
  })
}
