import { Type } from '@sinclair/typebox'
import { defineRoute } from '../define.ts'
import { ListScheduled, ScheduledChange, ScheduledMessage } from '../scheduled.ts'
import { PathId } from './params.ts'

const OfScheduled = Type.Object({ scheduled_id: PathId })

/** What I have written and is not sent yet. It is scheduled by `send_at` of a message that is posted. */
export const scheduledRoutes = {
  listScheduled: defineRoute({
    method: 'GET',
    path: '/scheduled',
    tag: 'messages',
    summary: 'List what I have scheduled, the next first, with what could not be sent.',
    replies: { 200: ListScheduled.reply },
    errors: []
  }),
  getScheduled: defineRoute({
    method: 'GET',
    path: '/scheduled/{scheduled_id}',
    tag: 'messages',
    summary: 'Read one scheduled message of mine.',
    params: OfScheduled,
    replies: { 200: ScheduledMessage },
    errors: ['message_not_found']
  }),
  changeScheduled: defineRoute({
    method: 'PATCH',
    path: '/scheduled/{scheduled_id}',
    tag: 'messages',
    summary: 'Change what a scheduled message says, or when it is sent. One that failed is tried again at its new time.',
    params: OfScheduled,
    body: ScheduledChange,
    replies: { 200: ScheduledMessage },
    errors: ['message_not_found', 'content_empty', 'content_too_long']
  }),
  cancelScheduled: defineRoute({
    method: 'DELETE',
    path: '/scheduled/{scheduled_id}',
    tag: 'messages',
    summary: 'Cancel a scheduled message. 404 where it is sent already.',
    params: OfScheduled,
    replies: { 204: null },
    errors: ['message_not_found']
  })
}
