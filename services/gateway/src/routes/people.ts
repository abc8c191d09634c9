import { BlockUser, DeactivateUser, GetMe, GetUser, ListBlocks, ListUsers, PutUser, ROUTES, UnblockUser, UpdateMe } from '@parley/contracts'
import type { Bus } from '@parley/nats-kit'
import type { Routes } from '../call.ts'
import { HEARTBEAT_INTERVAL_MS, LIMITS, RECONNECT_MAX_JITTER_MS } from '../limits.ts'

const LISTED = 20

export function people(route: Routes, bus: Bus, { demo }: { demo: boolean }): void {
  route(ROUTES.config, async () => ({
    limits: LIMITS,
    heartbeat_interval_ms: HEARTBEAT_INTERVAL_MS,
    reconnect_max_jitter_ms: RECONNECT_MAX_JITTER_MS,
    features: {},
    demo
  }))

  route(ROUTES.me, ({ actor }) => bus.relay(GetMe, { actor }))

  route(ROUTES.updateMe, ({ actor, body }) => bus.relay(UpdateMe, { actor, ...body }))

  route(ROUTES.listUsers, ({ actor, query: { q, limit = LISTED } }) =>
    bus.relay(ListUsers, { actor, limit, ...(q !== undefined && { q }) })
  )

  route(ROUTES.getUser, ({ actor, params }) => bus.relay(GetUser, { actor, ...params }))

  route(ROUTES.putUser, ({ actor, params, body }) => bus.relay(PutUser, { actor, ...params, ...body }))

  route(ROUTES.deactivateUser, async ({ actor, params }) => {
    await bus.request(DeactivateUser, { actor, ...params })
    return null
  })

  route(ROUTES.listBlocks, ({ actor }) => bus.relay(ListBlocks, { actor }))

  route(ROUTES.blockUser, async ({ actor, params }) => {
    await bus.request(BlockUser, { actor, ...params })
    return null
  })

  route(ROUTES.unblockUser, async ({ actor, params }) => {
    await bus.request(UnblockUser, { actor, ...params })
    return null
  })
}
