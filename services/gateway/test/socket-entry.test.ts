import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { check, ReadyFrame, ROUTES } from '@parley/contracts'
import { client, colleagues, type Frame, failOnLeftovers, openSocket, startPlatform, until } from '@parley/test-kit'
import t from 'tap'
import { fits, group, isProblem } from './expect.ts'

failOnLeftovers(t)
const platform = await startPlatform(t, { env: { ALLOWED_ORIGINS: 'https://app.example.com', FRONTEND_ORIGIN: 'http://localhost:5173' } })
const url = platform.urls[0]!
const [ada, ben] = colleagues('Ada', 'Ben')
const conversation_id = await group(platform, ada, ben)
await platform.client(ben).post(`/conversations/${conversation_id}/messages`, { content: 'hello' })
const ticketOf = async (token = platform.token(ada)): Promise<string> => (await client(url, token).post('/ws/ticket')).body.ticket
const open = (token: string, options: Parameters<typeof openSocket>[2] = {}) => openSocket(url, token, options)
const byTicket = (ticket: string) => open('', { how: 'none', path: `/api/v1/ws?ticket=${encodeURIComponent(ticket)}` })
// Opened first and looked at last: it takes five seconds.
const silent = open('', { how: 'none' })
const silentSince = silent.opened.then(() => Date.now())

const WAYS = {
  'the Authorization header': async () => open(platform.token(ada), { how: 'header' }),
  'a token in the query': async () => open(platform.token(ada), { how: 'query' }),
  'a ticket': async () => byTicket(await ticketOf()),
  'a first frame': async () => open(platform.token(ada))
}
for (const [what, enter] of Object.entries(WAYS)) {
  t.test(`a socket is let in by ${what} and told all that it needs in ready`, async t => {
    const socket = await enter()
    t.teardown(() => socket.kill())
    const ready = await socket.ready

    t.doesNotThrow(() => check(ReadyFrame.schema, ready))
    t.equal(Object.keys(ready)[0], 'type')
    t.match(ready, {
      connection_id: /^[0-9a-f-]{14}7/,
      user_id: ada.id,
      heartbeat_interval_ms: Number,
      reconnect_max_jitter_ms: Number,
      token_expires_at: /\.\d{3}Z$/,
      unread_total: 1,
      conversations: [{ id: conversation_id, version: Number, unread_count: 1 }],
      limits: (await client(url).get('/config')).body.limits
    })
    t.ok(Math.abs(Date.parse(ready.server_time) - Date.now()) < 10_000)
    socket.send({ type: 'ping' })
    t.same(await socket.next('pong'), { type: 'pong' })
  })
}

t.test('whatever comes before authentication closes with 4001', async t => {
  const first = {
    'a ping': '{"type":"ping"}',
    'a message': JSON.stringify({ type: 'send_message', conversation_id, content: 'x' }),
    'an auth without a token': '{"type":"auth"}',
    'an auth with an empty token': '{"type":"auth","token":""}',
    'an auth with a further field': JSON.stringify({ type: 'auth', token: platform.token(ada), user_id: ben.id }),
    'no JSON': 'hello',
    'an empty frame': '',
    'a list': '[]',
    null: 'null',
    'a binary frame': Buffer.from(JSON.stringify({ type: 'auth', token: platform.token(ada) }))
  }
  for (const [what, data] of Object.entries(first)) {
    const socket = open('', { how: 'none' })
    await socket.opened
    socket.sendRaw(data)
    t.equal((await socket.closed).code, 4001, what)
    t.same(socket.frames, [], `${what} is told nothing`)
  }
})

t.test('a bad token closes with 4001 and an expired one with 4002, after the upgrade, however it came', async t => {
  for (const how of ['frame', 'header', 'query'] as const) {
    t.equal((await open('nonsense', { how }).closed).code, 4001, how)
    t.equal((await open(platform.token(ada).slice(0, -2), { how }).closed).code, 4001, how)
    const expired = await open(platform.token(ada, { expires_in_seconds: -1 }), { how }).closed
    t.same(expired, { code: 4002, reason: 'token expired' }, how)
  }
  t.equal((await open(platform.token(ada), { how: 'none', headers: { authorization: `Basic ${platform.token(ada)}` } }).closed).code, 4001)
})

t.test('a ticket is good once, and only if it was issued', async t => {
  const answer = await platform.client(ada).post('/ws/ticket')
  fits(t, answer, 200, ROUTES.ticket.replies[200])
  t.equal(answer.body.expires_in_seconds, 30)
  const { ticket } = answer.body
  t.notMatch(ticket, platform.token(ada).split('.')[1]!, 'it is not the token')

  const socket = byTicket(ticket)
  await socket.ready
  await socket.close()
  t.equal((await byTicket(ticket).closed).code, 4001, 'a second time')
  for (const bad of ['', 'x', ticket.slice(1), `${ticket}A`, '../../keys', 'A'.repeat(43), platform.token(ada), 'é', '%00']) {
    t.equal((await byTicket(bad).closed).code, 4001, `garbage: ${bad.slice(0, 12)}`)
  }
  isProblem(t, await client(url).post('/ws/ticket'), 401, 'unauthenticated')
})

t.test('of two who show the same ticket at once one comes in', async t => {
  const ticket = await ticketOf()
  const sockets = Array.from({ length: 8 }, () => byTicket(ticket))
  const ends = await Promise.all(
    sockets.map(socket =>
      Promise.race([
        socket.ready.then(
          () => 'in',
          () => 'out'
        ),
        socket.closed.then(() => 'out')
      ])
    )
  )
  for (const socket of sockets) socket.kill()
  t.same(ends.filter(end => end === 'in').length, 1)
})

t.test('a ticket that is forgotten, or whose token has ended meanwhile, is no way in', async t => {
  const forgotten = await ticketOf()
  await new Promise<void>((resolve, reject) => {
    const redis = connect(platform.redis.port, '127.0.0.1', () => redis.end('FLUSHALL\r\nQUIT\r\n'))
    redis
      .on('error', reject)
      .on('close', () => resolve())
      .resume()
  })
  t.equal((await byTicket(forgotten).closed).code, 4001, 'as after 30 s')

  // Long enough that a busy machine gets the ticket before the token ends.
  const token = platform.token(ada, { expires_in_seconds: 3 })
  const short = await ticketOf(token)
  await delay(3_100)
  t.equal((await byTicket(short).closed).code, 4002)
})

t.test('a foreign origin is refused with 403 before the upgrade, one that only looks alike too', async t => {
  const host = new URL(url).host
  const foreign = [
    'https://evil.example',
    'null',
    'https://app.example.com.evil.tld',
    'https://app.example.com:444',
    'http://app.example.com',
    'https://APP.example.com.',
    'https://app.example.com/',
    `http://${host}.evil.tld`,
    `http://evil.tld/?${host}`,
    'file://',
    '*'
  ]
  for (const origin of foreign) {
    const closed = await open(platform.token(ada), { how: 'header', headers: { origin } }).closed
    t.equal(closed.status, 403, origin)
  }
  for (const origin of ['https://app.example.com', 'http://localhost:5173', `http://${host}`]) {
    const socket = open(platform.token(ada), { headers: { origin } })
    t.equal((await socket.ready).user_id, ada.id, origin)
    await socket.close()
  }
  const refused = await client(url).get('/ws', { connection: 'close' })
  t.equal(refused.status, 404, 'without an upgrade there is nothing here')
})

t.test('a browser’s page of another origin gets no permission to read answers', async t => {
  for (const origin of ['https://evil.example', 'null', 'https://app.example.com.evil.tld', 'http://app.example.com']) {
    const { headers } = await client(url).get('/config', { origin })
    t.equal(headers.get('access-control-allow-origin'), null, origin)
    const asked = await client(url).ask('OPTIONS', '/me', undefined, { origin, 'access-control-request-method': 'GET' })
    t.equal(asked.headers.get('access-control-allow-origin'), null, `${origin} asking first`)
  }
  const { headers } = await client(url).get('/config', { origin: 'https://app.example.com' })
  t.equal(headers.get('access-control-allow-origin'), 'https://app.example.com')
  t.equal(headers.get('access-control-allow-credentials'), null, 'and never with cookies')
})

t.test('a token that ends soon is warned of, and ends the socket with 4002', async t => {
  const socket = open(platform.token(ada, { expires_in_seconds: 2 }))
  const { token_expires_at } = await socket.ready

  const warning = await socket.next('token_expiring')
  t.equal(warning.expires_at, token_expires_at)
  t.same(await socket.closed, { code: 4002, reason: 'token expired' })
  t.ok(Date.now() >= Date.parse(token_expires_at), 'not before')
  t.equal(socket.frames.filter(({ type }) => type === 'token_expiring').length, 1, 'warned of once')
})

t.test('a token that is renewed on the live socket keeps it open', async t => {
  const socket = open(platform.token(ada, { expires_in_seconds: 2 }))
  t.teardown(() => socket.kill())
  const { token_expires_at } = await socket.ready
  const ack = await socket.ask({ type: 'auth', token: platform.token(ada, { name: 'Ada Renewed' }) })
  t.equal(ack.type, 'ack')

  await until(() => Date.now() > Date.parse(token_expires_at) + 1_500)
  socket.send({ type: 'ping' })
  await socket.next('pong')
  t.equal((await platform.client(ben).get(`/users/${ada.id}`)).body.display_name, 'Ada Renewed', 'and refreshes the profile')
})

t.test('an auth as someone else or with a bad token ends a live socket with 4001, with an expired one with 4002', async t => {
  const renewals = {
    'someone else': [platform.token(ben), 4001],
    'the same subject elsewhere': [platform.token({ ...ada, org_id: ben.id }), 4001],
    'a bad token': ['nonsense', 4001],
    'an expired token': [platform.token(ada, { expires_in_seconds: -1 }), 4002]
  } as const
  for (const [what, [token, code]] of Object.entries(renewals)) {
    const socket = open(platform.token(ada))
    await socket.ready
    socket.send({ type: 'auth', token })
    t.equal((await socket.closed).code, code, what)
  }
})

t.test('frames that come while a client is let in are answered in order once it is in', async t => {
  const socket = open('', { how: 'none' })
  t.teardown(() => socket.kill())
  await socket.opened
  socket.send({ type: 'auth', token: platform.token(ada), id: 'a' })
  for (let n = 0; n < 20; n++) socket.send({ type: 'send_message', conversation_id, content: `early ${n}`, id: `e${n}` })

  await until(() => socket.frames.filter(({ type }) => type === 'ack').length === 20)
  t.match(socket.frames[0], { type: 'ready', id: 'a' })
  const acks = socket.frames.filter(({ type }) => type === 'ack')
  t.same(
    acks.map(({ id }) => id),
    acks.map((_, n) => `e${n}`)
  )
  const seqs = acks.map((ack: Frame) => ack.message.seq)
  t.same(
    seqs,
    [...seqs].sort((a, b) => a - b)
  )
})

t.test('the twenty-first socket of one person is closed with 4011 and takes none of the others with it', async t => {
  const [eve, finn] = colleagues('Eve', 'Finn')
  const sockets = await Promise.all(Array.from({ length: 20 }, () => platform.connect(t, eve)))

  t.same(await open(platform.token(eve)).closed, { code: 4011, reason: 'too many sockets of one user' })
  await platform.connect(t, finn)
  for (const socket of sockets) socket.send({ type: 'ping' })
  await Promise.all(sockets.map(socket => socket.next('pong')))

  await sockets[0]!.close()
  await until(
    async () => {
      const socket = open(platform.token(eve))
      const isIn = await socket.ready.then(
        () => true,
        () => false
      )
      socket.kill()
      return isIn
    },
    { what: 'there is room for one again' }
  )
})

t.test('a socket that does not authenticate within five seconds is closed with 4001', async t => {
  t.same(await silent.closed, { code: 4001, reason: 'authentication failed' })
  const waited = Date.now() - (await silentSince)
  t.ok(waited >= 4_900, `after ${waited} ms`)
})
