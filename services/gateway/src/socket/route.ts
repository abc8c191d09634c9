import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import websocket from '@fastify/websocket'
import { AppError } from '@parley/contracts'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { WebSocket } from 'ws'
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

  const refusalOf = (request: FastifyRequest): AppError | undefined => {
    if (!isAllowed(request, origins)) return new AppError('foreign_origin', 'this origin may not open a socket')
    return sockets.isClosing ? new AppError('unavailable', 'the gateway is stopping') : undefined
  }
  door.get(
    '/api/v1/ws',
    {
      websocket: true,
      // It makes its headers anew for each request (43 of 590 µs a connect), and an upgrade carries none of them.
      helmet: false,
      preValidation: async (request, reply) => {
        const refusal = refusalOf(request)
        if (refusal || !request.ws) reply.helmet()
        if (refusal) throw refusal
      }
    },
    (ws, request) => {
      letGo(ws, request)
      const query = request.query as Query
      const ticket = firstOf(query.ticket)
      const token = tokenOf(request.raw, firstOf(query.token))
      const credential = ticket !== undefined ? () => tickets.take(ticket) : token !== undefined ? async () => token : undefined
      sockets.accept(ws, credential)
    }
  )
}

/**
 * Lets request and answer go, which live as long as the socket otherwise: the socket has the answer, and the library's own
 * listener for errors has both. That was 5.5 KiB of the 11.3 that an idle socket took (live heap, at 3,000 of them).
 */
function letGo(ws: WebSocket, { raw: { socket } }: FastifyRequest): void {
  ws.removeAllListeners('error')
  const { _httpMessage: response } = socket as Socket & { _httpMessage?: ServerResponse }
  response?.detachSocket(socket)
}

/** What is repeated in a query string comes as a list. */
type Query = Record<string, string | string[] | undefined>

const firstOf = (value: string | string[] | undefined): string | undefined => (Array.isArray(value) ? value[0] : value)

/** The page's own origin, or one of the list, compared whole; a client that is no browser sends none. */
function isAllowed(request: FastifyRequest, origins: ReadonlySet<string>): boolean {
  const { origin, host } = request.headers
  if (origin === undefined || origins.has(origin)) return true
  return origin === `http://${host}` || origin === `https://${host}`
}
