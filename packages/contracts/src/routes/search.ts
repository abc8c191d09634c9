import { defineRoute } from '../define.ts'
import { ConversationSearchQuery, SearchQuery, SearchResults } from '../search.ts'
import { NO_ACCESS, OfConversation } from './params.ts'

/** Messages by what they say. */
export const searchRoutes = {
  searchConversation: defineRoute({
    method: 'GET',
    path: '/conversations/{conversation_id}/search',
    tag: 'search',
    summary: 'Find messages of a conversation, newest first.',
    params: OfConversation,
    query: ConversationSearchQuery,
    replies: { 200: SearchResults },
    errors: [...NO_ACCESS, 'invalid_cursor', 'invalid_text']
  }),
  search: defineRoute({
    method: 'GET',
    path: '/search',
    tag: 'search',
    summary: 'Find messages in all of my conversations, newest first.',
    query: SearchQuery,
    replies: { 200: SearchResults },
    errors: [...NO_ACCESS, 'invalid_cursor', 'invalid_text']
  })
}
