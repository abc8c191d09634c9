import { call, type TokenSource } from './rest.ts'
import type { Changes, Conversation, Me, Message, MessagesPage, Mine, Participant, SearchPage, User } from './types.ts'

const PAGE = 50
// A page that is scrolled to is larger than the one waited for.
const SCROLLED_PAGE = 100

/** Where a page of history begins: at the newest, or beside a seq or a message. */
export type From = { before: number } | { after: number } | { around: number | string } | undefined

/** What of a conversation its managers change for everyone. */
export type ConversationChange = { title?: string | null; description?: string | null; status?: Conversation['status'] }
/** What a person changes for themselves alone. */
export type MembershipChange = Partial<Pick<Mine, 'archived' | 'pinned' | 'notifications' | 'muted_until' | 'draft'>>

/** The calls this client makes as one person. */
export function createApi(tokens: TokenSource) {
  return {
    me: () => call<Me>('GET', '/me', { tokens }),
    conversations: (page: number, archived: 'false' | 'only' = 'false') =>
      call<{ conversations: Conversation[]; pagination: { has_next: boolean } }>('GET', '/conversations', {
        tokens,
        query: { page, page_size: PAGE, archived }
      }),
    conversation: (id: string) => call<Conversation>('GET', `/conversations/${id}`, { tokens }),
    messages: (id: string, from: From) =>
      call<MessagesPage>('GET', `/conversations/${id}/messages`, {
        tokens,
        query: { limit: from && !('around' in from) ? SCROLLED_PAGE : PAGE, ...from }
      }),
    changes: (id: string, since: number) => call<Changes>('GET', `/conversations/${id}/changes`, { tokens, query: { since, limit: 200 } }),
    editMessage: (id: string, content: string) => call<Message>('PATCH', `/messages/${id}`, { tokens, body: { content } }),
    message: (id: string) => call<Message>('GET', `/messages/${id}`, { tokens }),
    react: (id: string, emoji: string, on: boolean) =>
      call<Message>(on ? 'PUT' : 'DELETE', `/messages/${id}/reactions/${encodeURIComponent(emoji)}`, { tokens }),
    pin: (id: string, on: boolean) => call<Message>(on ? 'PUT' : 'DELETE', `/messages/${id}/pin`, { tokens }),
    replies: (id: string, after: number) =>
      call<{ messages: Message[]; has_more: boolean }>('GET', `/messages/${id}/replies`, { tokens, query: { after, limit: PAGE } }),
    receipts: (id: string) => call<{ read_by: { user_id: string; read_at: string }[] }>('GET', `/messages/${id}/receipts`, { tokens }),
    forward: (id: string, conversationId: string, key: string) =>
      call<Message>('POST', `/messages/${id}/forward`, { tokens, body: { conversation_id: conversationId, client_message_id: key } }),
    pins: (conversationId: string) => call<{ messages: Message[] }>('GET', `/conversations/${conversationId}/pins`, { tokens }),
    search: (q: string, { conversation, before }: { conversation?: string | undefined; before?: string | undefined }) =>
      call<SearchPage>('GET', '/search', { tokens, query: { q, conversation_id: conversation, before } }),
    changeConversation: (id: string, body: ConversationChange) => call<Conversation>('PATCH', `/conversations/${id}`, { tokens, body }),
    changeMembership: (id: string, body: MembershipChange) => call<Mine>('PATCH', `/conversations/${id}/membership`, { tokens, body }),
    participants: (id: string, page: number) =>
      call<{ participants: Participant[]; pagination: { has_next: boolean } }>('GET', `/conversations/${id}/participants`, {
        tokens,
        query: { page, page_size: 100 }
      }),
    addParticipant: (id: string, userId: string) =>
      call<Participant>('POST', `/conversations/${id}/participants`, { tokens, body: { user_id: userId } }),
    changeRole: (id: string, userId: string, role: Participant['role']) =>
      call<Participant>('PATCH', `/conversations/${id}/participants/${userId}`, { tokens, body: { role } }),
    removeParticipant: (id: string, userId: string) => call<void>('DELETE', `/conversations/${id}/participants/${userId}`, { tokens }),
    blocks: () => call<{ users: User[] }>('GET', '/me/blocks', { tokens }),
    block: (userId: string, on: boolean) => call<void>(on ? 'PUT' : 'DELETE', `/users/${userId}/block`, { tokens }),
    deleteMessage: (id: string) => call<{ version: number }>('DELETE', `/messages/${id}`, { tokens }),
    people: (q: string) => call<{ users: User[] }>('GET', '/users', { tokens, query: { q: q || undefined, limit: 100 } }),
    openDirect: (userId: string) => call<Conversation>('POST', `/conversations/dm/${userId}`, { tokens }),
    createGroup: (title: string, participantIds: string[]) =>
      call<Conversation>('POST', '/conversations', { tokens, body: { type: 'group', title, participant_ids: participantIds } })
  }
}

export type Api = ReturnType<typeof createApi>
