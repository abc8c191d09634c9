import { type Static, Type } from '@sinclair/typebox'
import { defineRequest } from './define.ts'
import { Actor, Id, Nullable, OneOf, strict, Time } from './fields.ts'
import { EditBody, MessageBody, MyMessage } from './messages.ts'

/** What one person may have scheduled at a time, with what could not be sent and still stands in their list. */
export const SCHEDULED_MAX = 100
export const SCHEDULED_DAYS_MAX = 366

const SendAt = Type.String({
  format: 'date-time',
  maxLength: 40,
  description: `When to send it: in the future, ${SCHEDULED_DAYS_MAX} days ahead at most.`
})

/** What is posted over HTTP. On the socket everything is sent at once. */
export const PostedMessage = Type.Object({ ...MessageBody.properties, send_at: Type.Optional(SendAt) }, strict)
export type PostedMessage = Static<typeof PostedMessage>

/**
 * A message that is not sent yet, as its author alone sees it. Its `client_message_id` is the sent message's too; its id is
 * so only where it was never moved and went out in time.
 */
export const ScheduledMessage = Type.Composite(
  [
    Type.Omit(MyMessage, ['seq']),
    Type.Object({
      seq: Type.Null(),
      status: OneOf('scheduled', 'failed', 'cancelled'),
      send_at: Time,
      error: Nullable(
        Type.String({ description: 'The code that it was refused with when it was due: it is not tried again, but where it is moved.' })
      )
    })
  ],
  { $id: 'ScheduledMessage' }
)
export type ScheduledMessage = Static<typeof ScheduledMessage>

/** What stands for a `client_message_id`: the scheduled message, or once it is sent that one. */
export const Standing = Type.Union([ScheduledMessage, MyMessage])

/**
 * With a `client_message_id` it may be repeated: what stands is answered, whatever `send_at` the repetition has. One that was
 * cancelled stays so.
 */
export const ScheduleMessage = defineRequest('scheduled.create', {
  summary: 'Keep a message and send it at its time, once.',
  request: Type.Object({ actor: Actor, conversation_id: Id, ...MessageBody.properties, send_at: SendAt }, strict),
  reply: Type.Object({ message: Standing, duplicate: Type.Boolean() }),
  errors: [
    'conversation_not_found',
    'not_a_participant',
    'conversation_locked',
    'conversation_archived',
    'read_only',
    'blocked',
    'invalid_reply',
    'idempotency_mismatch',
    'scheduled_full'
  ]
})

const OfScheduled = Type.Object({ actor: Actor, scheduled_id: Id })

export const ListScheduled = defineRequest('scheduled.list', {
  summary: 'List what the caller has scheduled and what of it could not be sent, the next first.',
  request: Type.Object({ actor: Actor }),
  reply: Type.Object({ messages: Type.Array(ScheduledMessage, { maxItems: SCHEDULED_MAX }) })
})

export const GetScheduled = defineRequest('scheduled.get', {
  summary: 'Read one scheduled message of the caller.',
  request: OfScheduled,
  reply: ScheduledMessage,
  errors: ['message_not_found']
})

export const ScheduledChange = Type.Object({ content: Type.Optional(EditBody.properties.content), send_at: Type.Optional(SendAt) }, strict)

/** May be repeated. One that could not be sent is tried again where it gets a new time. */
export const ChangeScheduled = defineRequest('scheduled.change', {
  summary: 'Change the content or the time of a scheduled message.',
  request: Type.Object({ ...OfScheduled.properties, ...ScheduledChange.properties }),
  reply: ScheduledMessage,
  errors: ['message_not_found', 'content_empty', 'content_too_long']
})

/** May be repeated. One that is sent already is not found: it is a message now. */
export const CancelScheduled = defineRequest('scheduled.cancel', {
  summary: 'Cancel a scheduled message.',
  request: OfScheduled,
  reply: Type.Object({ cancelled: Type.Boolean() }),
  errors: ['message_not_found']
})
