import { defineRoute } from '../define.ts'
import { MyMessage } from '../messages.ts'
import { RestoreMessage } from '../reactions.ts'
import { OfMessage } from './params.ts'

/** What moderators and admins do. */
export const adminRoutes = {
  restoreMessage: defineRoute({
    method: 'POST',
    path: '/admin/messages/{message_id}/restore',
    tag: 'admin',
    summary: 'Give a deleted message back its content, for moderators and admins.',
    params: OfMessage,
    replies: { 200: MyMessage },
    errors: RestoreMessage.errors
  })
}
