import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { colleagues, failOnLeftovers, startPlatform } from '@parley/test-kit'
import t, { type Test } from 'tap'
import { group, stillWorks } from './expect.ts'
import { exchange } from './raw.ts'

failOnLeftovers(t)
const platform = await startPlatform(t)
const url = platform.urls[0]!
const { host } = new URL(url)
const [ada, ben] = colleagues('Ada', 'Ben')
const conversation_id = await group(platform, ada, ben)
const token = platform.token(ada)
const path = `/api/v1/conversations/${conversation_id}/messages`
const SMUGGLED = 'smuggled'
const inner = JSON.stringify({ content: SMUGGLED })
const smuggled = `POST ${path} HTTP/1.1\r\nhost: ${host}\r\nauthorization: Bearer ${token}\r\ncontent-type: application/json\r\ncontent-length: ${inner.length}\r\n\r\n${inner}`
const body = JSON.stringify({ content: 'plain' })
const post = (headers: string[], payload: string, line = `POST ${path} HTTP/1.1`) =>
  `${[line, `host: ${host}`, `authorization: Bearer ${token}`, 'content-type: application/json', ...headers].join('\r\n')}\r\n\r\n${payload}`
const chunked = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`
const count = () =>
  platform.database
    .query<{ n: number }>("select count(*)::int as n from messaging.messages where content = 'smuggled'")
    .then(([row]) => row!.n)

/** Requests of which a proxy and a server might see different ends. */
const FORMS: Record<string, string> = {
  'a length and chunks': post([`content-length: ${body.length}`, 'transfer-encoding: chunked'], chunked(body) + smuggled),
  'chunks and a length': post(['transfer-encoding: chunked', 'content-length: 4'], chunked(body) + smuggled),
  'two lengths': post([`content-length: ${body.length}`, 'content-length: 0'], body + smuggled),
  'two lengths in one line': post([`content-length: ${body.length}, 0`], body + smuggled),
  'a negative length': post(['content-length: -1'], body + smuggled),
  'a length with a sign': post([`content-length: +${body.length}`], body + smuggled),
  'a length in hexadecimals': post(['content-length: 0x10'], body + smuggled),
  'chunked twice': post(['transfer-encoding: chunked, chunked'], chunked(body) + smuggled),
  'chunked and then identity': post(['transfer-encoding: chunked', 'transfer-encoding: identity'], chunked(body) + smuggled),
  'chunked with a tab before it': post(['transfer-encoding:\tchunked', `content-length: ${body.length}`], chunked(body) + smuggled),
  'another encoding': post(['transfer-encoding: xchunked'], chunked(body) + smuggled),
  'a space before the colon': post(['transfer-encoding : chunked', `content-length: ${body.length}`], chunked(body) + smuggled),
  'a folded header': post(['x-a: b', ' transfer-encoding: chunked', `content-length: ${body.length}`], body + smuggled),
  'a bare line feed': post([`content-length: ${body.length}\ntransfer-encoding: chunked`], chunked(body) + smuggled),
  'a bare carriage return': post([`content-length: ${body.length}\rx: y`], body + smuggled),
  'NUL in a header': post(['x-a: b\u0000c', `content-length: ${body.length}`], body + smuggled),
  'a chunk size with a sign': post(['transfer-encoding: chunked'], `+${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n${smuggled}`),
  'a chunk size that runs over': post(['transfer-encoding: chunked'], `fffffffffffffffff\r\n${body}\r\n0\r\n\r\n${smuggled}`),
  'another version': post([`content-length: ${body.length}`], body + smuggled, `POST ${path} HTTP/9.9`),
  'no method of HTTP': post(['content-length: 0'], smuggled, `SMUGGLE ${path} HTTP/1.1`)
}
for (const [what, bytes] of Object.entries(FORMS)) {
  t.test(`a request with ${what} is refused and what hangs on it is not run`, async t => {
    const before = await count()
    const { statuses, isClosed, text } = await exchange(url, [bytes], { forMs: 1_000 })

    t.equal(await count(), before, 'nothing was smuggled')
    t.equal(statuses.length, 1, `one answer: ${statuses}`)
    t.equal(statuses[0], 400)
    t.ok(isClosed, 'and the connection ends')
    t.match(text, /application\/problem\+json[\s\S]*"code":"invalid_request"/)
  })
}

t.test('requests that come in one piece are answered in their order, one answer each', async t => {
  const get = (of: string, id: string) =>
    `GET /api/v1${of} HTTP/1.1\r\nhost: ${host}\r\nauthorization: Bearer ${token}\r\nx-request-id: ${id}\r\n\r\n`
  const pieces =
    get('/me', 'r1') +
    get('/nowhere', 'r2') +
    post(['x-request-id: r3', `content-length: ${body.length}`], body) +
    get('/config', 'r4') +
    get('/unread', 'r5')
  const { text, statuses } = await exchange(url, [pieces], { forMs: 1_500 })

  t.same(statuses, [200, 404, 201, 200, 200])
  t.same(
    [...text.matchAll(/x-request-id: (r\d)/g)].map(match => match[1]),
    ['r1', 'r2', 'r3', 'r4', 'r5']
  )
})

t.test('a request that names no host is a problem like any other', async t => {
  const { statuses, text } = await exchange(url, [`GET /api/v1/config HTTP/1.1\r\nconnection: close\r\n\r\n`], { forMs: 500 })
  t.same(statuses, [400])
  t.match(text, /application\/problem\+json[\s\S]*"code":"invalid_request"/)
  t.same((await exchange(url, [`GET /health/live HTTP/1.0\r\n\r\n`], { forMs: 500 })).statuses, [200], 'HTTP/1.0 needs none')
})

t.test('a body in chunks, byte by byte, is one request', async t => {
  const bytes = post(['transfer-encoding: chunked', 'connection: close'], `${[...body].map(c => `1\r\n${c}\r\n`).join('')}0\r\n\r\n`)
  const { statuses } = await exchange(url, bytes.match(/[\s\S]{1,40}/g)!, { pauseMs: 2 })
  t.same(statuses, [201])
})

t.test('headers of 20 kB, or a thousand of them, are 431 and end the connection', async t => {
  const long = await exchange(url, [post([`x-long: ${'x'.repeat(20_000)}`], '')], { forMs: 1_000 })
  t.same([long.statuses, long.isClosed], [[431], true])
  t.match(long.text, '"code":"header_too_large"')
  const [, id] = /^x-request-id: (\S+)/m.exec(long.text) ?? []
  t.ok(id && long.text.includes(`"request_id":"${id}"`), 'names its request like any other answer')
  const many = await exchange(
    url,
    [
      post(
        Array.from({ length: 1_000 }, (_, n) => `x-header-number-${n}: value`),
        ''
      )
    ],
    { forMs: 1_000 }
  )
  t.same([many.statuses, many.isClosed], [[431], true])
  const address = await exchange(url, [`GET /api/v1/users?q=${'x'.repeat(20_000)} HTTP/1.1\r\nhost: ${host}\r\n\r\n`], { forMs: 1_000 })
  t.ok([414, 431].includes(address.statuses[0]!), `an address of 20 kB: ${address.statuses}`)
  const tiny = await exchange(
    url,
    [
      post(
        Array.from({ length: 1_000 }, (_, n) => `a${n}:`),
        ''
      )
    ],
    { forMs: 1_000 }
  )
  t.ok(tiny.statuses.length === 1 && tiny.statuses[0]! >= 400 && tiny.statuses[0]! < 500, `a thousand empty ones: ${tiny.statuses}`)
})

t.test('who sends no request, or half of one, is let go after a while and keeps nobody waiting', async t => {
  const since = Date.now()
  const slow = Array.from({ length: 50 }, (_, n) =>
    exchange(url, [`GET /api/v1/me HTTP/1.1\r\nhost: ${host}\r\nx-${n}: `], { forMs: 20_000 })
  )
  const answer = await platform.client(ada).get('/me')
  t.equal(answer.status, 200)
  t.ok(Date.now() - since < 2_000, 'others are answered meanwhile')

  const ends = await Promise.all(slow)
  t.ok(
    ends.every(({ isClosed }) => isClosed),
    'all fifty are let go'
  )
  t.ok(Date.now() - since < 19_000, `after ${Date.now() - since} ms`)
  t.ok(
    ends.every(({ statuses }) => statuses.every(status => status === 408 || status === 400)),
    `${[...new Set(ends.flatMap(({ statuses }) => statuses))]}`
  )
})

t.test('a body that ends too early, or never, is no message', async t => {
  const half = await exchange(url, [post([`content-length: ${body.length + 50}`], body)], { forMs: 500 })
  t.same(half.statuses, [], 'it waits for the rest')
  const { body: page } = await platform.client(ada).get(`/conversations/${conversation_id}/messages`)
  await stillWorks(t, platform, ada, conversation_id, 'half a body')
  t.equal((await platform.client(ada).get(`/conversations/${conversation_id}/messages`)).body.total, page.total + 1)
})

/** Starts a gateway with settings that it cannot take and gives what it says. */
async function refuse(t: Test, env: NodeJS.ProcessEnv) {
  const main = join(import.meta.dirname, '../src/main.ts')
  const child = spawn(process.execPath, [main], { env: { PATH: process.env.PATH, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  t.teardown(() => child.kill('SIGKILL'))
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', text => (said += text))
  const [code] = await once(child, 'close')
  return { code, said }
}

t.test('settings that cannot be used end the start with one clear message', async t => {
  const good = { NATS_URL: platform.nats.url, REDIS_URL: platform.redis.url, JWT_SECRET_KEY: 'x'.repeat(32), PORT: '0' }
  const rows: [string, NodeJS.ProcessEnv, RegExp][] = [
    ['no way to check tokens', { ...good, JWT_SECRET_KEY: '' }, /set JWT_SECRET_KEY \(HS256\) or JWT_JWKS_URL/],
    ['a short secret in production', { ...good, JWT_SECRET_KEY: 'short', NODE_ENV: 'production' }, /shorter than 32 bytes/],
    ['the demo in production', { ...good, DEMO: '1', NODE_ENV: 'production' }, /DEMO=1 .* refused/],
    ['a port that is none', { ...good, PORT: '70000' }, /PORT/],
    ['a port in use', { ...good, PORT: new URL(url).port }, /EADDRINUSE/],
    ['a scheme that is none of Redis', { ...good, REDIS_URL: 'http://127.0.0.1' }, /REDIS_URL/],
    ['a scheme that is none of NATS', { ...good, NATS_URL: 'http://127.0.0.1' }, /NATS_URL/],
    ['a key set that is no address', { ...good, JWT_JWKS_URL: 'file:///etc/passwd' }, /JWT_JWKS_URL/],
    ['several faults', { ...good, PORT: 'x', DEMO: 'yes' }, /PORT[\s\S]*DEMO/]
  ]
  for (const [what, env, wanted] of rows) {
    const { code, said } = await refuse(t, env)
    t.equal(code, 1, what)
    t.match(said, wanted, what)
    t.notMatch(said, /x{32}/, `${what}: no secret is told`)
  }
})
