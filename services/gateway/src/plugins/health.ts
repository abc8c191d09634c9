import { ROUTES } from '@parley/contracts'
import { type Health, isReady } from '@parley/service-kit'
import type { FastifyInstance } from 'fastify'

/** Health at the public door too, for load balancers that know no other; details of a failure stay in the log. */
export function health(door: FastifyInstance, state: Health): void {
  for (const place of ['', '/api/v1']) {
    door.get(place + ROUTES.live.path, () => ({ status: 'live' }))
    door.get(place + ROUTES.ready.path, async (_, reply) => {
      const readiness = await state.read()
      return reply.code(isReady(readiness) ? 200 : 503).send(readiness)
    })
  }
}
