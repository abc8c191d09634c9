import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { Scope } from '@parley/test-kit'
import { WebSocket, WebSocketServer } from 'ws'
import { Connection } from '../src/socket/connection.ts'
import { Turn } from '../src/socket/turn.ts'

/** A connection of the gateway's own kind with the socket below it, and the client at its other end. */
export async function openPair(t: Scope): Promise<{ connection: Connection; ws: WebSocket; client: WebSocket; turn: Turn }> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false })
  t.teardown(() => server.close())
  await once(server, 'listening')
  const client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`)
  t.teardown(() => client.terminate())
  const opened = once(client, 'open')
  const [ws] = (await once(server, 'connection')) as [WebSocket]
  await opened
  const turn = new Turn()
  return { connection: new Connection(ws, turn, () => {}), ws, client, turn }
}
