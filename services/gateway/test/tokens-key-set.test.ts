import { createHmac, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { client, failOnLeftovers, openSocket, person, startGateway, startPlatform } from '@parley/test-kit'
import t, { type Test } from 'tap'
import { isProblem } from './expect.ts'

failOnLeftovers(t)
const PAIRS = {
  RS256: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  EdDSA: generateKeyPairSync('ed25519')
}
type Algorithm = keyof typeof PAIRS
const ALGORITHMS = Object.keys(PAIRS) as Algorithm[]
const foreign = generateKeyPairSync('rsa', { modulusLength: 2048 })

/** A key server as an identity provider runs it: it counts what it is asked, and may fail. */
async function startKeyServer(t: Pick<Test, 'teardown'>) {
  const keys = ALGORITHMS.map(alg => ({ ...PAIRS[alg].publicKey.export({ format: 'jwk' }), kid: `${alg}-1`, alg, use: 'sig' }))
  const state = { asked: 0, status: 200, body: JSON.stringify({ keys }), paths: [] as string[] }
  const server = createServer((request, response) => {
    state.asked++
    state.paths.push(request.url ?? '')
    response.writeHead(state.status, { 'content-type': 'application/json', connection: 'close' }).end(state.body)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => new Promise(resolve => server.close(resolve)))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`
  return { state, url }
}

const keyServer = await startKeyServer(t)
const platform = await startPlatform(t, { env: { JWT_JWKS_URL: keyServer.url } })
const url = platform.urls[0]!
const ada = person({ name: 'Ada' })
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
const claims = (more: object = {}) => ({
  sub: ada.id,
  org_id: ada.org_id,
  name: 'Ada',
  exp: Math.floor(Date.now() / 1_000) + 600,
  ...more
})

function signed(alg: Algorithm, header: object, payload: object = claims(), key: KeyObject = PAIRS[alg].privateKey): string {
  const unsigned = `${encode({ alg, typ: 'JWT', kid: `${alg}-1`, ...header })}.${encode(payload)}`
  const how = alg === 'ES256' ? ({ key, dsaEncoding: 'ieee-p1363' } as const) : key
  return `${unsigned}.${sign(alg === 'EdDSA' ? null : 'sha256', Buffer.from(unsigned), how).toString('base64url')}`
}
const me = (token: string, door = url) => client(door, token).get('/me')

for (const alg of ALGORITHMS) {
  t.test(`a token signed with ${alg} by a key of the set is good over REST and the socket`, async t => {
    const { status, body } = await me(signed(alg, {}))
    t.equal(status, 200)
    t.equal(body.user.id, ada.id)
    const socket = openSocket(url, signed(alg, {}))
    t.equal((await socket.ready).user_id, ada.id)
    await socket.close()
  })

  t.test(`a token signed with ${alg} is refused once one letter of it is another`, async t => {
    const [head, , signature] = signed(alg, {}).split('.')
    isProblem(t, await me(`${head}.${encode(claims({ role: 'admin' }))}.${signature}`), 401, 'unauthenticated')
  })
}

t.test('a secret and a key set stand side by side', async t => {
  t.equal((await me(platform.token(ada))).status, 200)
})

t.test('HS256 with a public key as its secret is refused, in whichever form the key is taken', async t => {
  for (const alg of ALGORITHMS) {
    const { publicKey } = PAIRS[alg]
    const forms = [
      publicKey.export({ format: 'pem', type: 'spki' }),
      `\n${publicKey.export({ format: 'pem', type: 'spki' })}`,
      `${publicKey.export({ format: 'pem', type: 'spki' })}`.trim(),
      publicKey.export({ format: 'der', type: 'spki' }),
      JSON.stringify(publicKey.export({ format: 'jwk' }))
    ]
    for (const secret of forms) {
      const unsigned = `${encode({ alg: 'HS256', kid: `${alg}-1` })}.${encode(claims())}`
      const token = `${unsigned}.${createHmac('sha256', secret).update(unsigned).digest('base64url')}`
      isProblem(t, await me(token), 401, 'unauthenticated', alg)
    }
  }
})

t.test('a key that the token brings along, or names by an address, is not used', async t => {
  const jwk = foreign.publicKey.export({ format: 'jwk' })
  const mine = foreign.privateKey
  const before = keyServer.state.asked
  const headers = {
    'an embedded key': { jwk },
    'an embedded key and no kid': { jwk, kid: undefined },
    'an address of keys': { jku: keyServer.url.replace('/keys', '/evil') },
    'a certificate': { x5c: ['MIIB'] },
    'the address of a certificate': { x5u: keyServer.url.replace('/keys', '/evil') }
  }
  for (const [what, header] of Object.entries(headers))
    isProblem(t, await me(signed('RS256', header, claims(), mine)), 401, 'unauthenticated', what)
  t.equal(keyServer.state.asked, before, 'nobody was asked for them')
})

t.test('a kid is looked up as it stands: no path, no query, no address, and not asked for again and again', async t => {
  const before = keyServer.state.asked
  for (const kid of [
    '../../dev/null',
    '/dev/null',
    "' or 1=1 --",
    'http://127.0.0.1:1/',
    '',
    'RS256-1\u0000',
    'RS256-2',
    '__proto__',
    'constructor'
  ]) {
    isProblem(t, await me(signed('RS256', { kid }, claims(), foreign.privateKey)), 401, 'unauthenticated', JSON.stringify(kid))
    isProblem(t, await me(signed('RS256', { kid })), 401, 'unauthenticated', JSON.stringify(kid))
  }
  isProblem(t, await me(signed('RS256', { kid: 7 })), 401, 'unauthenticated', 'a number')
  t.ok(keyServer.state.asked - before <= 1, `${keyServer.state.asked - before} questions for twenty unknown keys`)
  t.ok(keyServer.state.paths.every(path => path === '/keys'))
})

t.test('an algorithm that is not the key’s, or not accepted, is refused', async t => {
  isProblem(t, await me(signed('ES256', { kid: 'RS256-1' })), 401, 'unauthenticated', 'a key of another kind')
  for (const alg of ['none', 'PS256', 'RS512', 'HS384', 'ES384', 'RSA1_5', 'dir']) {
    isProblem(t, await me(signed('RS256', { alg })), 401, 'unauthenticated', alg)
  }
  const encrypted = `${encode({ alg: 'RSA-OAEP', enc: 'A256GCM', zip: 'DEF' })}.a.b.c.d`
  isProblem(t, await me(encrypted), 401, 'unauthenticated', 'an encrypted one')
})

t.test('times hold for tokens of a key set too, also for one that was good a moment ago', async t => {
  isProblem(t, await me(signed('ES256', {}, claims({ exp: 1 }))), 401, 'token_expired')
  isProblem(t, await me(signed('ES256', {}, claims({ exp: '9999999999' }))), 401, 'unauthenticated')
  isProblem(t, await me(signed('ES256', {}, claims({ nbf: Math.floor(Date.now() / 1_000) + 300 }))), 401, 'unauthenticated')
  const short = signed('ES256', {}, claims({ exp: Math.floor(Date.now() / 1_000) + 1 }))
  t.equal((await me(short)).status, 200)
  await new Promise(resolve => setTimeout(resolve, 1_100))
  isProblem(t, await me(short), 401, 'token_expired')
})

t.test('a key set that cannot be read is the server’s trouble: 503 and a socket to try again, not a bad token', async t => {
  const other = await startKeyServer(t)
  const secret = platform.secret
  const gateway = await startGateway(t, {
    natsUrl: platform.nats.url,
    redisUrl: platform.redis.url,
    secret,
    instance: 'gateway-keys',
    env: { JWT_JWKS_URL: other.url }
  })
  for (const [status, body] of [
    [500, 'no'],
    [200, 'no JSON'],
    [200, '{"keys":7}'],
    [404, '{}']
  ] as const) {
    Object.assign(other.state, { status, body })
    isProblem(t, await me(signed('EdDSA', {}), gateway.url), 503, 'unavailable', `${status} ${body}`)
  }
  t.equal((await openSocket(gateway.url, signed('EdDSA', {})).closed).code, 1013)

  Object.assign(other.state, { status: 200, body: keyServer.state.body })
  t.equal((await me(signed('EdDSA', {}), gateway.url)).status, 200, 'and good as soon as it is back')
})
