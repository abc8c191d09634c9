import { Type } from '@sinclair/typebox'
import { ChangesQuery, MyChanges, MySyncReply, SyncBody } from '../changes.ts'
import { defineRoute } from '../define.ts'
import { Count } from '../fields.ts'
import { NO_ACCESS, OfConversation } from './params.ts'

/** What was missed, and the way to the socket. */
export const liveRoutes = {
  changes: defineRoute({
    method: 'GET',
    path: '/conversations/{conversation_id}/changes',
    tag: 'live',
    summary: 'Tell what changed since a version.',
    params: OfConversation,
    query: ChangesQuery,
    replies: { 200: MyChanges },
    errors: [...NO_ACCESS, 'invalid_cursor']
  }),
  sync: defineRoute({
    method: 'POST',
    path: '/sync',
    tag: 'live',
    summary: 'Tell what changed in many conversations since the versions held.',
    body: SyncBody,
    replies: { 200: MySyncReply },
    errors: []
  }),
  ticket: defineRoute({
    method: 'POST',
    path: '/ws/ticket',
    tag: 'live',
    summary: 'Give a ticket for one connect of the WebSocket.',
    replies: { 200: Type.Object({ ticket: Type.String(), expires_in_seconds: Count }) },
    errors: ['unavailable']
  })
}
