import {
  AddParticipant,
  ChangeConversation,
  ChangeMembership,
  ChangeParticipant,
  CreateConversation,
  GetConversation,
  GetDirectConversation,
  ListConversations,
  ListParticipants,
  ListProjectConversations,
  RemoveParticipant,
  ROUTES
} from '@parley/contracts'
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

  route(ROUTES.changeConversation, ({ actor, params, body }) => bus.relay(ChangeConversation, { actor, ...params, ...body }))

  route(ROUTES.changeMembership, ({ actor, params, body }) => bus.relay(ChangeMembership, { actor, ...params, ...body }))

  route(ROUTES.projectConversations, ({ actor, params, query }) => bus.relay(ListProjectConversations, { actor, ...params, query }))

  route(ROUTES.listParticipants, ({ actor, params, query }) => bus.relay(ListParticipants, { actor, ...params, query }))

  route(ROUTES.addParticipant, async ({ actor, params, body, reply }) => {
    const { participant, added } = await bus.request(AddParticipant, { actor, ...params, ...body })
    reply.code(added ? 201 : 200)
    return participant
  })

  route(ROUTES.changeParticipant, ({ actor, params, body }) => bus.relay(ChangeParticipant, { actor, ...params, ...body }))

  route(ROUTES.removeParticipant, async ({ actor, params }) => {
    await bus.request(RemoveParticipant, { actor, ...params })
    return null
  })
}
