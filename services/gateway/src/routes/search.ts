import { ROUTES, SearchMessages } from '@parley/contracts'
import type { Bus } from '@parley/nats-kit'
import type { Routes } from '../call.ts'

export function search(route: Routes, bus: Bus): void {
  route(ROUTES.searchConversation, ({ actor, params, query }) =>
    bus.relay(SearchMessages, { actor, query: { ...query, conversation_id: params.conversation_id } })
  )

  route(ROUTES.search, ({ actor, query }) => bus.relay(SearchMessages, { actor, query }))
}
