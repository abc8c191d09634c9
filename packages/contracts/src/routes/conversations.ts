import {
  AddParticipantBody,
  ChangeConversationBody,
  ChangeMembershipBody,
  ChangeParticipantBody,
  Conversation,
  ConversationPage,
  CreateConversationBody,
  ListConversationsQuery,
  Mine,
  PageQuery,
  Participant,
  ParticipantPage
} from '../conversations.ts'
import { defineRoute } from '../define.ts'
import { NO_ACCESS, OfConversation, OfParticipant, OfProject, OfUser } from './params.ts'

const MEMBERSHIP_ERRORS = [...NO_ACCESS, 'forbidden', 'direct_conversation', 'user_not_found'] as const

/** Conversations and who is in them. */
export const conversationsRoutes = {
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
    errors: ['user_not_found', 'project_not_found', 'self_conversation', 'direct_conversation', 'forbidden', 'conversation_full', 'blocked']
  }),
  directConversation: defineRoute({
    method: 'POST',
    path: '/conversations/dm/{user_id}',
    tag: 'conversations',
    summary: 'Give my direct conversation with a person, made where there is none.',
    params: OfUser,
    replies: { 201: Conversation, 200: Conversation },
    errors: ['user_not_found', 'self_conversation', 'blocked']
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
  changeConversation: defineRoute({
    method: 'PATCH',
    path: '/conversations/{conversation_id}',
    tag: 'conversations',
    summary: 'Change title, description, status, metadata or shared history, for owners and admins. What is not named stays.',
    params: OfConversation,
    body: ChangeConversationBody,
    replies: { 200: Conversation },
    errors: [...NO_ACCESS, 'forbidden', 'direct_conversation']
  }),
  changeMembership: defineRoute({
    method: 'PATCH',
    path: '/conversations/{conversation_id}/membership',
    tag: 'conversations',
    summary: 'Change what a conversation is to me alone: put away, pinned, muted, my draft.',
    params: OfConversation,
    body: ChangeMembershipBody,
    replies: { 200: Mine },
    errors: [...NO_ACCESS, 'content_too_long']
  }),
  projectConversations: defineRoute({
    method: 'GET',
    path: '/projects/{project_id}/conversations',
    tag: 'conversations',
    summary: 'List my conversations of a project, newest activity first.',
    params: OfProject,
    query: ListConversationsQuery,
    replies: { 200: ConversationPage },
    errors: ['project_not_found']
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
  })
}
