import { call, type TokenSource } from './rest.ts'
import type { Changes, Conversation, Me, Message, MessagesPage, User } from './types.ts'

const PAGE = 50
// A page that is scrolled to is larger than the one waited for.
const SCROLLED_PAGE = 100

/** Where a page of history begins: at the newest, or beside a seq. */
export type From = { before: number } | { after: number } | { around: number } | undefined

/** The calls this client makes as one person. */
export function createApi(tokens: TokenSource) {
  return {
    me: () => call<Me>('GET', '/me', { tokens }),
    conversations: (page: number) =>
      call<{ conversations: Conversation[]; pagination: { has_next: boolean } }>('GET', '/conversations', {
        tokens,
        query: { page, page_size: PAGE }
      }),
    conversation: (id: string) => call<Conversation>('GET', `/conversations/${id}`, { tokens }),
    messages: (id: string, from: From) =>
      call<MessagesPage>('GET', `/conversations/${id}/messages`, {
        tokens,
        query: { limit: from && !('around' in from) ? SCROLLED_PAGE : PAGE, ...from }
      }),
    changes: (id: string, since: number) => call<Changes>('GET', `/conversations/${id}/changes`, { tokens, query: { since, limit: 200 } }),
    editMessage: (id: string, content: string) => call<Message>('PATCH', `/messages/${id}`, { tokens, body: { content } }),
    deleteMessage: (id: string) => call<{ version: number }>('DELETE', `/messages/${id}`, { tokens }),
    people: (q: string) => call<{ users: User[] }>('GET', '/users', { tokens, query: { q: q || undefined, limit: 100 } }),
    openDirect: (userId: string) => call<Conversation>('POST', `/conversations/dm/${userId}`, { tokens }),
    createGroup: (title: string, participantIds: string[]) =>
      call<Conversation>('POST', '/conversations', { tokens, body: { type: 'group', title, participant_ids: participantIds } })
  }
}

export type Api = ReturnType<typeof createApi>
