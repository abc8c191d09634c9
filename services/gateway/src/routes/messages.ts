import {
  AddReaction,
  AppError,
  check,
  DeleteMessage,
  EditMessage,
  ForwardMessage,
  GetConversation,
  GetDirectConversation,
  GetMessage,
  GetUnread,
  ListMessages,
  ListPins,
  ListReceipts,
  ListReplies,
  ListRevisions,
  MarkRead,
  type MyMessage,
  PinMessage,
  PostedMessage,
  RemoveReaction,
  RestoreMessage,
  ROUTES,
  ScheduleMessage,
  type Send,
  type StandingMessage
} from '@parley/contracts'
import type { Bus } from '@parley/nats-kit'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Actor, Routes } from '../call.ts'
import { type Sends, standingOf } from '../sends.ts'

/** Of the one source that reads by pages alone. */
const PAGE_SIZE = 20

export function messages(route: Routes, bus: Bus, sends: Sends): void {
  /** Now, or where it has a time at that. */
  const post = async (actor: Actor, { send_at, ...message }: PostedMessage & { conversation_id: string }, reply: FastifyReply) => {
    const { user_id, org_id } = actor
    if (send_at === undefined) return send(sends, { ...message, user_id, org_id }, reply)
    const scheduled = await bus.request(ScheduleMessage, { actor, ...message, send_at })
    reply.code(scheduled.duplicate ? 200 : 202)
    return { ...scheduled.message, ...(scheduled.duplicate && { duplicate: true }) }
  }

  /** After a change: the message as whoever changed it sees it. */
  const mine = (actor: Actor, { message_id }: { message_id: string }) => bus.relay(GetMessage, { actor, message_id })

  route(ROUTES.listMessages, ({ actor, params, query }) => bus.relay(ListMessages, { actor, ...params, query }))

  route(ROUTES.conversationMessages, async ({ actor, params, query }) => {
    const pages = { page: 1, page_size: PAGE_SIZE, ...query }
    const [conversation, messages] = await Promise.all([
      bus.request(GetConversation, { actor, ...params }),
      bus.request(ListMessages, { actor, ...params, query: pages })
    ])
    return { ...messages, conversation }
  })

  route(ROUTES.sendMessage, ({ actor, params, body, request, reply }) => post(actor, { ...withKey(body, request), ...params }, reply))

  route(ROUTES.sendToPerson, async ({ actor, body, request, reply }) => {
    const { recipient_id, ...posted } = body
    const message = withKey(posted, request)
    const { conversation } = await bus.request(GetDirectConversation, { actor, user_id: recipient_id, message })
    return post(actor, { ...message, conversation_id: conversation.id }, reply)
  })

  route(ROUTES.getMessage, ({ actor, params }) => bus.relay(GetMessage, { actor, ...params }))

  route(ROUTES.editMessage, async ({ actor, params, body }) => {
    await bus.request(EditMessage, { actor, ...params, ...body })
    return mine(actor, params)
  })

  route(ROUTES.deleteMessage, async ({ actor, params }) => (await bus.request(DeleteMessage, { actor, ...params })).deleted)

  route(ROUTES.deleteMessageIn, async ({ actor, params }) => (await bus.request(DeleteMessage, { actor, ...params })).deleted)

  route(ROUTES.history, ({ actor, params }) => bus.relay(ListRevisions, { actor, ...params }))

  route(ROUTES.receipts, ({ actor, params }) => bus.relay(ListReceipts, { actor, ...params }))

  route(ROUTES.forward, async ({ actor, params, body, reply }) => {
    const { message, duplicate } = await bus.request(ForwardMessage, { actor, ...params, ...body })
    reply.code(duplicate ? 200 : 201)
    return { ...asSent(message), ...(duplicate && { duplicate }) }
  })

  route(ROUTES.replies, ({ actor, params, query }) => bus.relay(ListReplies, { actor, ...params, query }))

  route(ROUTES.addReaction, async ({ actor, params }) => {
    await bus.request(AddReaction, { actor, ...params })
    return mine(actor, params)
  })

  route(ROUTES.removeReaction, async ({ actor, params }) => {
    await bus.request(RemoveReaction, { actor, ...params })
    return mine(actor, params)
  })

  route(ROUTES.pin, async ({ actor, params }) => {
    await bus.request(PinMessage, { actor, ...params, pinned: true })
    return mine(actor, params)
  })

  route(ROUTES.unpin, async ({ actor, params }) => {
    await bus.request(PinMessage, { actor, ...params, pinned: false })
    return mine(actor, params)
  })

  route(ROUTES.pins, ({ actor, params }) => bus.relay(ListPins, { actor, ...params }))

  route(ROUTES.restoreMessage, ({ actor, params }) => bus.relay(RestoreMessage, { actor, ...params }))

  route(ROUTES.markRead, ({ actor, params, body }) => bus.relay(MarkRead, { actor, ...params, ...body }))

  route(ROUTES.markReadByPost, ({ actor, params, body }) => bus.relay(MarkRead, { actor, ...params, ...body }))

  route(ROUTES.unread, ({ actor }) => bus.relay(GetUnread, { actor }))
}

/** The header says the same as the field; the field goes first. */
function withKey(body: PostedMessage, request: FastifyRequest): PostedMessage {
  const key = request.headers['idempotency-key']
  if (key === undefined || body.client_message_id !== undefined) return body
  const message = { ...body, client_message_id: String(key) }
  check(PostedMessage, message)
  return message
}

const TAIL = ',"is_mine":true,"is_read":false,"read_by":[]}'
const HEAD = '{"message":'

/** As its sender sees it. */
const asSent = ({ read_by = [], ...message }: StandingMessage): MyMessage => ({
  ...message,
  is_mine: true,
  is_read: read_by.length > 0,
  read_by
})

/**
 * Sends one message and answers with it as its sender sees it.
 *
 * @throws AppError what it was refused with
 */
function send(sends: Sends, message: Send, reply: FastifyReply): Promise<Uint8Array | object> {
  return new Promise((resolve, reject) => {
    sends.send(message, undefined, answer => {
      if (answer instanceof AppError) return reject(answer)
      const standing = standingOf(answer)
      reply.code(standing ? 200 : 201)
      // The line is {"message":{…}}: cut, not parsed.
      resolve(standing ? { ...asSent(standing), duplicate: true } : Buffer.from(`${answer.toString().slice(HEAD.length, -2)}${TAIL}`))
    })
  })
}
