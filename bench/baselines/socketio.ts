import { createHmac, randomUUID, timingSafeEqual } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createAdapter } from '@socket.io/redis-adapter'
import { Redis } from 'ioredis'
import pg from 'pg'
import { Server } from 'socket.io'

// What a competent developer builds with the usual parts: Socket.IO with the Redis adapter, a JWT in the handshake, rooms
// read from a table at the connect, one INSERT a message into PostgreSQL, then the room's event and the acknowledgement.
// A message that was acknowledged is stored. Its order is that in which its INSERTs came back; nothing numbers it, and what
// a socket missed while it was away it does not learn.

const { DATABASE_URL, REDIS_URL, JWT_SECRET = '', PORT = '0', DATABASE_POOL_MAX = '40' } = process.env

interface SendMessage {
  conversation_id: string
  client_message_id: string
  content: string
}

type Acknowledge = (answer: { message: object } | { error: string }) => void

const pool = new pg.Pool({ connectionString: DATABASE_URL, max: Number(DATABASE_POOL_MAX) })
await pool.query(`
  create table if not exists participants (
    user_id uuid not null,
    conversation_id uuid not null,
    primary key (user_id, conversation_id)
  );
  create table if not exists messages (
    id uuid primary key,
    conversation_id uuid not null,
    sender_id uuid not null,
    client_message_id text not null,
    content text not null,
    created_at timestamptz not null default now(),
    unique (conversation_id, sender_id, client_message_id)
  );
  create index if not exists messages_history on messages (conversation_id, created_at)`)

const publisher = new Redis(REDIS_URL!)
const http = createServer()
const io = new Server(http, { transports: ['websocket'], serveClient: false, adapter: createAdapter(publisher, publisher.duplicate()) })

io.use((socket, next) => {
  const user_id = verify(socket.handshake.auth.token)
  if (user_id === undefined) return next(new Error('unauthenticated'))
  socket.data.user_id = user_id
  next()
})

io.on('connection', async socket => {
  const { user_id } = socket.data
  socket.on('send_message', async ({ conversation_id, client_message_id, content }: SendMessage, acknowledge: Acknowledge) => {
    try {
      if (!socket.rooms.has(conversation_id)) return acknowledge({ error: 'not_a_participant' })
      const id = randomUUID()
      const { rows } = await pool.query({
        name: 'insert-message',
        text: 'insert into messages (id, conversation_id, sender_id, client_message_id, content) values ($1, $2, $3, $4, $5) returning created_at',
        values: [id, conversation_id, user_id, client_message_id, content]
      })
      const message = { id, conversation_id, sender_id: user_id, client_message_id, content, created_at: rows[0].created_at }
      io.to(conversation_id).emit('new_message', message)
      acknowledge({ message })
    } catch (error) {
      acknowledge({ error: (error as Error).message })
    }
  })
  try {
    const { rows } = await pool.query({
      name: 'my-conversations',
      text: 'select conversation_id from participants where user_id = $1',
      values: [user_id]
    })
    await socket.join(rows.map(row => row.conversation_id))
    socket.emit('ready', { user_id })
  } catch {
    socket.disconnect()
  }
})

/** @returns whom an HS256 token names, undefined where it is not valid */
function verify(token: unknown): string | undefined {
  const [head, body, signature] = String(token).split('.')
  if (!head || !body || !signature) return undefined
  const expected = createHmac('sha256', JWT_SECRET).update(`${head}.${body}`).digest()
  const given = Buffer.from(signature, 'base64url')
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined
  const { sub, exp } = JSON.parse(Buffer.from(body, 'base64url').toString())
  return exp > Date.now() / 1_000 ? sub : undefined
}

http.listen(Number(PORT), '127.0.0.1', () => process.stdout.write(`listening on ${(http.address() as AddressInfo).port}\n`))
process.on('disconnect', () => process.exit())
