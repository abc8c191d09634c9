import { defineRoute } from '../define.ts'
import { Message } from '../messages.ts'
import { OfMessage } from './params.ts'

/** What moderators and admins do. */
export const adminRoutes = {
  restoreMessage: defineRoute({
    method: 'POST',
    path: '/admin/messages/{message_id}/restore',
    tag: 'admin',
    summary: 'Give a deleted message back its content, for moderators and admins.',
    params: OfMessage,
    replies: { 200: Message },
    errors: ['forbidden', 'message_not_found']
  })
}
