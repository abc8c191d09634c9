import { type IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { AppError } from '@parley/contracts'
import type { FastifyInstance } from 'fastify'
import { WebSocketServer } from 'ws'
import { type Config, listOf } from '../config.ts'
import type { Tickets } from '../tickets.ts'
import { SOCKET_OPTIONS, type Sockets, tokenOf } from './sockets.ts'

const PATH = '/api/v1/ws'

/**
 * `GET /api/v1/ws`: the upgrade. A foreign origin is refused before it, a bad token closes with its code after it.
 *
 * An upgrade goes straight to the library and past the framework, whose plugin for it keeps request and reply as long as
 * the socket lives. Measured: bench/README.md, `connections`. What is not let through is answered like any other request.
 */
export async function socketRoute(
  door: FastifyInstance,
  { config, sockets, tickets }: { config: Config; sockets: Sockets; tickets: Tickets }
): Promise<void> {
  const origins = new Set([...listOf(config.ALLOWED_ORIGINS), ...listOf(config.FRONTEND_ORIGIN)])
  const upgrades = new WebSocketServer({ ...SOCKET_OPTIONS, noServer: true })

  door.server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const { url = '' } = request
    const isOurs = url.startsWith(PATH) && (url.length === PATH.length || url[PATH.length] === '?')
    if (!isOurs || sockets.isClosing || !isAllowed(request, origins)) return answerAsRequest(door, request, socket)
    upgrades.handleUpgrade(request, socket, head, ws => {
      const query = new URLSearchParams(url.slice(PATH.length))
      const ticket = query.get('ticket')
      const token = tokenOf(request, query)
      if (ticket !== null) sockets.accept(ws, () => tickets.take(ticket))
      else sockets.accept(ws, token === undefined ? undefined : async () => token)
    })
  })
  // Each client is told to come back after a delay of its own, and answered what it asked.
  door.addHook('preClose', () => sockets.close())

  // What comes here is no upgrade, or one that is refused.
  door.get(PATH, async request => {
    if (request.headers.upgrade !== undefined && !isAllowed(request.raw, origins))
      throw new AppError('foreign_origin', 'this origin may not open a socket')
    if (sockets.isClosing) throw new AppError('unavailable', 'the gateway is stopping')
    throw new AppError('not_found', 'there is nothing here without an upgrade to a WebSocket')
  })
}

/** Answers an upgrade as the request that it also is; then the connection ends, since nobody reads from it any more. */
function answerAsRequest(door: FastifyInstance, request: IncomingMessage, socket: Duplex): void {
  socket.on('error', () => socket.destroy())
  const response = new ServerResponse(request)
  response.shouldKeepAlive = false
  response.on('finish', () => socket.end())
  response.assignSocket(socket as Parameters<typeof response.assignSocket>[0])
  door.routing(request, response)
}

/** The page's own origin, or one of the list, compared whole; a client that is no browser sends none. */
function isAllowed({ headers: { origin, host } }: IncomingMessage, origins: ReadonlySet<string>): boolean {
  if (origin === undefined || origins.has(origin)) return true
  return origin === `http://${host}` || origin === `https://${host}`
}
