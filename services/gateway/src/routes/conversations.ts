import { CreateConversation, GetConversation, GetDirectConversation, ListConversations, ListParticipants, ROUTES } from '@parley/contracts'
import type { Bus } from '@parley/nats-kit'
import type { Routes } from '../call.ts'

export function conversations(route: Routes, bus: Bus): void {
  route(ROUTES.listConversations, ({ actor, query }) => bus.relay(ListConversations, { actor, query }))

  route(ROUTES.createConversation, async ({ actor, body, reply }) => {
    const { conversation, created } = await bus.request(CreateConversation, { actor, ...body })
    reply.code(created ? 201 : 200)
    return conversation
  })

  route(ROUTES.directConversation, async ({ actor, params, reply }) => {
    const { conversation, created } = await bus.request(GetDirectConversation, { actor, ...params })
    reply.code(created ? 201 : 200)
    return conversation
  })

  route(ROUTES.getConversation, ({ actor, params }) => bus.relay(GetConversation, { actor, ...params }))

  route(ROUTES.listParticipants, ({ actor, params, query }) => bus.relay(ListParticipants, { actor, ...params, query }))
}
