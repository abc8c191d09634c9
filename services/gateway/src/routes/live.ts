import { GetChanges, ROUTES, Sync } from '@parley/contracts'
import type { Bus } from '@parley/nats-kit'
import type { Routes } from '../call.ts'
import { TICKET_SECONDS, type Tickets } from '../tickets.ts'

export function live(route: Routes, bus: Bus, tickets: Tickets): void {
  route(ROUTES.changes, ({ actor, params, query }) => bus.relay(GetChanges, { actor, ...params, query }))

  route(ROUTES.sync, ({ actor, body }) => bus.relay(Sync, { actor, ...body, added: true }))

  route(ROUTES.ticket, async ({ request }) => ({
    // The token has just been checked; the socket will check it again when the ticket is shown.
    ticket: await tickets.issue(request.headers.authorization!.replace(/^Bearer +/i, '')),
    expires_in_seconds: TICKET_SECONDS
  }))
}
