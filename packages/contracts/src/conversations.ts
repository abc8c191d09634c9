import { type Static, Type } from '@sinclair/typebox'
import { defineRequest } from './define.ts'
import { NAME_MAX, User } from './directory.ts'
import { Actor, Count, Id, Nullable, OneOf, strict, Time, Version } from './fields.ts'
import { ListMessagesQuery, MessagePage, Metadata, MyMessage, Pagination } from './messages.ts'
import { PostedMessage } from './scheduled.ts'

export const PARTICIPANTS_MAX = 1_000
export const TITLE_MAX = 255
const DESCRIPTION_MAX = 2_000
export const DRAFT_MAX = 5_000

export const ConversationType = OneOf('direct', 'group', 'project', 'support', 'announcement')
export const ConversationStatus = OneOf('active', 'archived', 'locked')
export const ParticipantRole = OneOf('owner', 'admin', 'member', 'guest')
/** Whether whoever comes in sees what was said before, or only what is said from then on. */
export const History = OneOf('all', 'joined')

export const Participant = Type.Object(
  {
    user_id: Id,
    username: Type.String(),
    display_name: Type.String(),
    avatar_url: Nullable(Type.String()),
    role: ParticipantRole,
    joined_at: Time,
    is_active: Type.Boolean(),
    last_read_message_id: Nullable(Id),
    last_read_seq: Count,
    last_read_at: Nullable(Time)
  },
  { $id: 'Participant' }
)
export type Participant = Static<typeof Participant>

/** The part that is the same for everyone: what `conversation_updated` and `sync` carry. */
export const SharedConversation = Type.Object(
  {
    id: Id,
    org_id: Id,
    type: ConversationType,
    status: ConversationStatus,
    title: Nullable(Type.String({ maxLength: TITLE_MAX })),
    description: Nullable(Type.String({ maxLength: DESCRIPTION_MAX })),
    project_id: Nullable(Id),
    created_by: Id,
    created_at: Time,
    updated_at: Time,
    metadata: Metadata,
    history: Type.Optional(History),
    participant_count: Count,
    last_message_at: Nullable(Time),
    last_seq: Count,
    version: Version
  },
  { $id: 'SharedConversation' }
)
export type SharedConversation = Static<typeof SharedConversation>

/** What a person may do in a conversation as it is now; a client shows what stands here, and nothing else. */
export const Capability = OneOf(
  'send',
  'react',
  'pin',
  'mention_all',
  'add_participants',
  'remove_participants',
  'change_roles',
  'edit_conversation',
  'leave'
)
export type Capability = Static<typeof Capability>

export const NotificationLevel = OneOf('all', 'mentions', 'none')

export const Mine = Type.Object(
  {
    role: ParticipantRole,
    archived: Type.Boolean({ description: 'Put away by me; a new message brings it back unless I muted it.' }),
    pinned: Type.Boolean({ description: 'Held at the top of my list.' }),
    notifications: NotificationLevel,
    muted_until: Nullable(Time),
    last_read_seq: Count,
    draft: Nullable(Type.String({ maxLength: 2 * DRAFT_MAX })),
    capabilities: Type.Array(Capability)
  },
  { $id: 'Mine' }
)
export type Mine = Static<typeof Mine>

export const Conversation = Type.Composite(
  [
    SharedConversation,
    Type.Object({
      participants: Type.Array(Participant, { maxItems: 100, description: 'The first 100; participant_count has all.' }),
      participant: Type.Optional(Nullable(User)),
      last_message: Nullable(MyMessage),
      unread_count: Count,
      mention_count: Count,
      first_unread_seq: Nullable(Count),
      my: Mine
    })
  ],
  { $id: 'Conversation' }
)
export type Conversation = Static<typeof Conversation>

const OnConversation = Type.Object({ actor: Actor, conversation_id: Id })

export const ListConversationsQuery = Type.Object(
  {
    page: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000 })),
    page_size: Type.Optional(Type.Integer({ minimum: 1, maximum: 50 })),
    archived: Type.Optional(OneOf('true', 'false', 'only')),
    type: Type.Optional(ConversationType),
    project_id: Type.Optional(Id),
    status: Type.Optional(ConversationStatus),
    q: Type.Optional(Type.String({ maxLength: NAME_MAX })),
    unread: Type.Optional(OneOf('true', 'false'))
  },
  strict
)
export type ListConversationsQuery = Static<typeof ListConversationsQuery>

export const ConversationPage = Type.Object(
  { conversations: Type.Array(Conversation), pagination: Pagination },
  { $id: 'ConversationPage' }
)

export const ListConversations = defineRequest('conversations.list', {
  summary: "List the caller's conversations, newest activity first.",
  request: Type.Object({ actor: Actor, query: ListConversationsQuery }),
  reply: ConversationPage
})

/** A page of messages with their conversation: always a page, so `pagination` is always there. */
export const ConversationMessages = Type.Composite(
  [Type.Omit(MessagePage, ['pagination']), Type.Object({ conversation: Conversation, pagination: Pagination })],
  { $id: 'ConversationMessages' }
)
export const ConversationMessagesQuery = Type.Pick(ListMessagesQuery, ['page', 'page_size', 'before'], strict)

export const GetConversation = defineRequest('conversations.get', {
  summary: 'Read one conversation as its participant sees it.',
  request: OnConversation,
  reply: Conversation,
  errors: ['conversation_not_found', 'not_a_participant']
})

export const CreateConversationBody = Type.Object(
  {
    type: ConversationType,
    title: Type.Optional(Type.String({ maxLength: TITLE_MAX })),
    description: Type.Optional(Type.String({ maxLength: DESCRIPTION_MAX })),
    participant_ids: Type.Optional(Type.Array(Id, { maxItems: PARTICIPANTS_MAX })),
    project_id: Type.Optional(Id),
    metadata: Type.Optional(Metadata),
    history: Type.Optional(History)
  },
  strict
)

export const CreateConversation = defineRequest('conversations.create', {
  summary: 'Create a conversation; the caller is its owner. For a direct one, give the one that stands.',
  request: Type.Object({ actor: Actor, ...CreateConversationBody.properties }),
  reply: Type.Object({ conversation: Conversation, created: Type.Boolean() }),
  errors: ['user_not_found', 'project_not_found', 'self_conversation', 'invalid_request', 'forbidden', 'conversation_full', 'blocked'],
  timeoutMs: 5_000
})

export const ChangeConversationBody = Type.Object(
  {
    title: Type.Optional(Nullable(Type.String({ maxLength: TITLE_MAX }))),
    description: Type.Optional(Nullable(Type.String({ maxLength: DESCRIPTION_MAX }))),
    status: Type.Optional(ConversationStatus),
    metadata: Type.Optional(Metadata),
    history: Type.Optional(History)
  },
  strict
)

/** What is not named stays; a new title or status is told by a message of the system. */
export const ChangeConversation = defineRequest('conversations.change', {
  summary: 'Change what everyone sees of a conversation.',
  request: Type.Object({ actor: Actor, conversation_id: Id, ...ChangeConversationBody.properties }),
  reply: Conversation,
  errors: ['conversation_not_found', 'not_a_participant', 'forbidden', 'direct_conversation', 'invalid_request']
})

export const ChangeMembershipBody = Type.Object(
  {
    archived: Type.Optional(Type.Boolean()),
    pinned: Type.Optional(Type.Boolean()),
    notifications: Type.Optional(NotificationLevel),
    muted_until: Type.Optional(Nullable(Time)),
    draft: Type.Optional(Nullable(Type.String({ maxLength: 4 * DRAFT_MAX, code: 'content_too_long' })))
  },
  strict
)

/** Nobody else sees it; the person's other devices are told. */
export const ChangeMembership = defineRequest('conversations.change_mine', {
  summary: 'Change what a conversation is to the caller alone: put away, pinned, muted, half a message.',
  request: Type.Object({ actor: Actor, conversation_id: Id, ...ChangeMembershipBody.properties }),
  reply: Mine,
  errors: ['conversation_not_found', 'not_a_participant', 'content_too_long']
})

export const ListProjectConversations = defineRequest('projects.conversations', {
  summary: "List the caller's conversations of a project, newest activity first.",
  request: Type.Object({ actor: Actor, project_id: Id, query: ListConversationsQuery }),
  reply: ConversationPage,
  errors: ['project_not_found']
})

/** Two callers at once get the same conversation: the pair is unique in the database. */
export const GetDirectConversation = defineRequest('conversations.direct', {
  summary: 'Give the direct conversation with a person, made where there is none.',
  request: Type.Object({
    actor: Actor,
    user_id: Id,
    message: Type.Optional(
      Type.Object(PostedMessage.properties, { description: 'What is to begin it: where it could not be sent, none is made.' })
    )
  }),
  reply: Type.Object({ conversation: Conversation, created: Type.Boolean() }),
  errors: ['user_not_found', 'self_conversation', 'blocked', 'content_empty', 'content_too_long', 'invalid_text', 'invalid_reply']
})

export const PageQuery = Type.Object(
  {
    page: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000 })),
    page_size: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 }))
  },
  strict
)

export const ParticipantPage = Type.Object({ participants: Type.Array(Participant), pagination: Pagination }, { $id: 'ParticipantPage' })

export const ListParticipants = defineRequest('participants.list', {
  summary: 'List who is in a conversation, longest-standing first.',
  request: Type.Object({ actor: Actor, conversation_id: Id, query: PageQuery }),
  reply: ParticipantPage,
  errors: ['conversation_not_found', 'not_a_participant']
})

export const AddParticipantBody = Type.Object({ user_id: Id, role: Type.Optional(ParticipantRole) }, strict)

/** Who is in already stays as they are. */
export const AddParticipant = defineRequest('participants.add', {
  summary: 'Put a person into a conversation, as a member where no role is named.',
  request: Type.Object({ actor: Actor, conversation_id: Id, ...AddParticipantBody.properties }),
  reply: Type.Object({ participant: Participant, added: Type.Boolean() }),
  errors: ['conversation_not_found', 'not_a_participant', 'forbidden', 'direct_conversation', 'user_not_found', 'conversation_full']
})

export const ChangeParticipantBody = Type.Object({ role: ParticipantRole }, strict)

export const ChangeParticipant = defineRequest('participants.change', {
  summary: "Change a participant's role.",
  request: Type.Object({ actor: Actor, conversation_id: Id, user_id: Id, ...ChangeParticipantBody.properties }),
  reply: Participant,
  errors: ['conversation_not_found', 'not_a_participant', 'forbidden', 'direct_conversation', 'user_not_found']
})

/** May be repeated: who is out already stays out. */
export const RemoveParticipant = defineRequest('participants.remove', {
  summary: 'Take a person out of a conversation; oneself, and it is leaving.',
  request: Type.Object({ actor: Actor, conversation_id: Id, user_id: Id }),
  reply: Type.Object({ removed: Type.Boolean() }),
  errors: ['conversation_not_found', 'not_a_participant', 'forbidden', 'direct_conversation', 'user_not_found']
})
