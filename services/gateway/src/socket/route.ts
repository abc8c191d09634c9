import websocket from '@fastify/websocket'
import { AppError } from '@parley/contracts'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { type Config, listOf } from '../config.ts'
import type { Tickets } from '../tickets.ts'
import { SOCKET_OPTIONS, type Sockets, tokenOf } from './sockets.ts'

/** `GET /api/v1/ws`: the upgrade. A foreign origin is refused before it, a bad token closes with its code after it. */
export async function socketRoute(
  door: FastifyInstance,
  { config, sockets, tickets }: { config: Config; sockets: Sockets; tickets: Tickets }
): Promise<void> {
  const origins = new Set([...listOf(config.ALLOWED_ORIGINS), ...listOf(config.FRONTEND_ORIGIN)])
  await door.register(websocket, {
    options: SOCKET_OPTIONS,
    // Each client is told to come back after a delay of its own; the default closes all at once.
    preClose: () => sockets.close()
  })

  door.get(
    '/api/v1/ws',
    {
      websocket: true,
      preValidation: async request => {
        if (!isAllowed(request, origins)) throw new AppError('foreign_origin', 'this origin may not open a socket')
        if (sockets.isClosing) throw new AppError('unavailable', 'the gateway is stopping')
      }
    },
    (ws, request) => {
      const query = new URL(request.url, 'http://localhost').searchParams
      const ticket = query.get('ticket')
      const token = tokenOf(request.raw, query)
      if (ticket !== null) sockets.accept(ws, () => tickets.take(ticket))
      else sockets.accept(ws, token === undefined ? undefined : async () => token)
    }
  )
}

/** The page's own origin, or one of the list, compared whole; a client that is no browser sends none. */
function isAllowed(request: FastifyRequest, origins: ReadonlySet<string>): boolean {
  const { origin, host } = request.headers
  if (origin === undefined || origins.has(origin)) return true
  return origin === `http://${host}` || origin === `https://${host}`
}
