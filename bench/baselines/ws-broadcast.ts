import { randomUUID } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { type WebSocket, WebSocketServer } from 'ws'

// What many chat servers begin as, and the least that one can do: no store, no sign-in, no order that outlives it.
// What one sends goes to everyone in the conversation by `ws.send`, then its sender gets an `ack`.

const conversations = new Map<string, Set<WebSocket>>()
const server = new WebSocketServer({ host: '127.0.0.1', port: Number(process.env.PORT ?? 0) })

server.on('connection', (socket, request) => {
  const { searchParams } = new URL(request.url ?? '/', 'http://localhost')
  const sender_id = searchParams.get('user') ?? randomUUID()
  const joined = searchParams.getAll('conversation')
  for (const id of joined) {
    const members = conversations.get(id) ?? new Set()
    conversations.set(id, members.add(socket))
  }

  socket.on('message', data => {
    const { id, conversation_id, client_message_id, content } = JSON.parse(String(data))
    const message = { id: randomUUID(), conversation_id, sender_id, client_message_id, content, created_at: new Date().toISOString() }
    const frame = JSON.stringify({ type: 'new_message', conversation_id, message })
    for (const member of conversations.get(conversation_id) ?? []) member.send(frame)
    socket.send(JSON.stringify({ type: 'ack', id, message }))
  })
  socket.on('error', () => socket.terminate())
  socket.on('close', () => {
    for (const id of joined) {
      const members = conversations.get(id)
      members?.delete(socket)
      if (members?.size === 0) conversations.delete(id)
    }
  })
  socket.send(JSON.stringify({ type: 'ready', user_id: sender_id }))
})

server.on('listening', () => process.stdout.write(`listening on ${(server.address() as AddressInfo).port}\n`))
process.on('disconnect', () => process.exit())
