import { DeleteProjectMember, PutProject, PutProjectMember, ROUTES } from '@parley/contracts'
import type { Bus } from '@parley/nats-kit'
import type { Routes } from '../call.ts'

export function projects(route: Routes, bus: Bus): void {
  route(ROUTES.putProject, ({ actor, params, body }) => bus.relay(PutProject, { actor, ...params, ...body }))

  route(ROUTES.putProjectMember, async ({ actor, params }) => {
    await bus.request(PutProjectMember, { actor, ...params })
    return null
  })

  route(ROUTES.deleteProjectMember, async ({ actor, params }) => {
    await bus.request(DeleteProjectMember, { actor, ...params })
    return null
  })
}
