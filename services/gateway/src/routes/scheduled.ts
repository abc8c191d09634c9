import { CancelScheduled, ChangeScheduled, GetScheduled, ListScheduled, ROUTES } from '@parley/contracts'
import type { Bus } from '@parley/nats-kit'
import type { Routes } from '../call.ts'

export function scheduled(route: Routes, bus: Bus): void {
  route(ROUTES.listScheduled, ({ actor }) => bus.relay(ListScheduled, { actor }))

  route(ROUTES.getScheduled, ({ actor, params }) => bus.relay(GetScheduled, { actor, ...params }))

  route(ROUTES.changeScheduled, ({ actor, params, body }) => bus.relay(ChangeScheduled, { actor, ...params, ...body }))

  route(ROUTES.cancelScheduled, async ({ actor, params }) => {
    await bus.request(CancelScheduled, { actor, ...params })
    return null
  })
}
