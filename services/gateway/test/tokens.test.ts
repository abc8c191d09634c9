import { createHmac, randomUUID } from 'node:crypto'
import { client, failOnLeftovers, openSocket, type Person, person, startPlatform } from '@parley/test-kit'
import t from 'tap'
import { isProblem } from './expect.ts'

failOnLeftovers(t)
const ISSUER = 'https://login.example.com'
const platform = await startPlatform(t, { env: { JWT_ISSUER: ISSUER, JWT_AUDIENCE: 'parley' } })
const url = platform.urls[0]!
const now = () => Math.floor(Date.now() / 1_000)
const good = { iss: ISSUER, aud: 'parley' }
const ada = person({ name: 'Ada' })

const encode = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
function signed(header: unknown, payload: unknown, secret = platform.secret): string {
  const unsigned = `${encode(header)}.${encode(payload)}`
  return `${unsigned}.${createHmac('sha256', secret).update(unsigned).digest('base64url')}`
}
const HS256 = { alg: 'HS256', typ: 'JWT' }
const claimsOf = (who: Person, more: object = {}) => ({
  sub: who.id,
  org_id: who.org_id,
  name: who.name,
  exp: now() + 600,
  ...good,
  ...more
})
const me = (token: string) => client(url, token).get('/me')

t.test('a token with the required claims alone is enough', async t => {
  const { status, body } = await me(signed(HS256, claimsOf(ada)))

  t.equal(status, 200)
  t.match(body.user, {
    id: ada.id,
    org_id: ada.org_id,
    display_name: 'Ada',
    role: 'member',
    title: null,
    department: null,
    avatar_url: null
  })
})

t.test('everything that a token says of a person is in their profile, and later tokens refresh it', async t => {
  const who = person({ name: 'Bea' })
  const full = {
    username: 'bea',
    avatar_url: 'https://example.com/b.png',
    title: 'Lead',
    department: 'Ops',
    org_name: 'Example Ltd',
    role: 'moderator'
  }
  const first = await me(signed(HS256, claimsOf(who, full)))
  t.match(first.body.user, {
    username: 'bea',
    avatar_url: 'https://example.com/b.png',
    title: 'Lead',
    department: 'Ops',
    role: 'moderator',
    organization: { name: 'Example Ltd' }
  })

  const later = await me(signed(HS256, claimsOf(who, { name: 'Bea Two', title: 'Head', org_name: 'Example GmbH' })))
  t.match(later.body.user, { display_name: 'Bea Two', title: 'Head', department: 'Ops', username: 'bea', role: 'member' })
  t.equal(later.body.organization.name, 'Example GmbH')
})

for (const [what, header] of [
  ['alg none', { alg: 'none' }],
  ['alg None', { alg: 'None' }],
  ['alg hs256 in small letters', { alg: 'hs256' }],
  ['alg with a space', { alg: ' HS256' }],
  ['alg HS512', { alg: 'HS512' }],
  ['alg as a list', { alg: ['HS256'] }],
  ['no alg', { typ: 'JWT' }],
  ['a critical extension', { ...HS256, crit: ['exp'], exp: 1 }],
  ['RS256 where no key set is set', { alg: 'RS256', kid: 'k' }]
] as const) {
  t.test(`a token with ${what} is refused`, async t => {
    isProblem(t, await me(signed(header, claimsOf(ada))), 401, 'unauthenticated')
  })
}

t.test('an unsigned token is refused in every spelling', async t => {
  const body = encode(claimsOf(ada))
  for (const token of [
    `${encode({ alg: 'none' })}.${body}.`,
    `${encode({ alg: 'none' })}.${body}`,
    `${encode(HS256)}.${body}.`,
    `..`,
    `.${body}.`
  ]) {
    isProblem(t, await me(token), 401, 'unauthenticated', token.slice(0, 20))
  }
})

t.test('a signature by another key, of another length or with other characters is refused', async t => {
  const token = signed(HS256, claimsOf(ada))
  const [head, body, signature] = token.split('.') as [string, string, string]
  const variants = {
    'another key': signed(HS256, claimsOf(ada), `${platform.secret} `),
    'an empty key': signed(HS256, claimsOf(ada), ''),
    shorter: token.slice(0, -2),
    longer: `${token}AA`,
    'a fourth part': `${token}.${signature}`,
    'padding behind it': `${token}=`,
    'a line feed in it': `${head}.${body}.${signature.slice(0, 9)}%0A${signature.slice(9)}`,
    'a changed body': `${head}.${encode({ ...claimsOf(ada), role: 'admin' })}.${signature}`,
    'a body that is a list': signed(HS256, [claimsOf(ada)]),
    'a body that is no JSON': signed(HS256, '{"sub":'),
    'a header that is no object': signed('"HS256"', claimsOf(ada))
  }
  for (const [what, variant] of Object.entries(variants)) isProblem(t, await me(variant), 401, 'unauthenticated', what)
})

t.test('white space and foreign characters in a token are refused where a frame or a query can carry them', async t => {
  const token = signed(HS256, claimsOf(ada))
  for (const variant of [` ${token}`, `${token}\n`, `${token} `, `${token}\t`, token.replace('.', ' .'), `${token}!`, `${token}é`]) {
    for (const how of ['frame', 'query'] as const) {
      const socket = openSocket(url, variant, { how })
      t.equal((await socket.closed).code, 4001, `${how}: ${JSON.stringify(variant.slice(-8))}`)
    }
  }
})

t.test('times must be numbers that make sense', async t => {
  const refused = {
    'exp as text': { exp: `${now() + 600}` },
    'exp 1e20': { exp: 1e20 },
    'no exp': { exp: undefined },
    'exp null': { exp: null },
    'exp as a list': { exp: [now() + 600] },
    'nbf in the future': { nbf: now() + 300 },
    'nbf as text': { nbf: '0' },
    'iat in the future': { iat: now() + 300 }
  }
  for (const [what, claims] of Object.entries(refused))
    isProblem(t, await me(signed(HS256, claimsOf(ada, claims))), 401, 'unauthenticated', what)
  t.equal((await me(signed(HS256, claimsOf(ada, { nbf: now() + 20, iat: now() + 20 })))).status, 200, 'clocks may differ by half a minute')
})

t.test('an expired token says so', async t => {
  for (const exp of [now(), now() - 1, 0, -5]) isProblem(t, await me(signed(HS256, claimsOf(ada, { exp }))), 401, 'token_expired', `${exp}`)
})

t.test('a token of another issuer or for another audience is refused', async t => {
  const refused = {
    'another iss': { iss: 'https://login.example.com.evil.tld' },
    'iss with a slash behind it': { iss: `${ISSUER}/` },
    'iss as a list': { iss: [ISSUER] },
    'no iss': { iss: undefined },
    'another aud': { aud: 'parley-admin' },
    'a list of other auds': { aud: ['a', 'PARLEY'] },
    'aud as an object': { aud: { parley: true } },
    'no aud': { aud: undefined }
  }
  for (const [what, claims] of Object.entries(refused))
    isProblem(t, await me(signed(HS256, claimsOf(ada, claims))), 401, 'unauthenticated', what)
  t.equal((await me(signed(HS256, claimsOf(ada, { aud: ['other', 'parley'] })))).status, 200, 'one of several audiences')
})

t.test('who a token names must be said in text that can be kept', async t => {
  const refused = {
    'no sub': { sub: undefined },
    'an empty sub': { sub: '' },
    'a blank sub': { sub: '  ' },
    'sub as a number': { sub: 7 },
    'a NUL in sub': { sub: 'a\u0000' },
    'a lone surrogate in sub': { sub: 'a\ud800' },
    'sub of 2,000 characters': { sub: 'x'.repeat(2_000) },
    'no org_id': { org_id: undefined },
    'org_id as an object': { org_id: {} },
    'a lone surrogate in org_id': { org_id: '\udc00' },
    'no name': { name: undefined },
    'an unknown role': { role: 'root' },
    'role as a list': { role: ['admin'] },
    'a NUL in the title': { title: 'a\u0000b' }
  }
  for (const [what, claims] of Object.entries(refused))
    isProblem(t, await me(signed(HS256, claimsOf(ada, claims))), 401, 'unauthenticated', what)
})

t.test('a subject and an organization that are no UUIDs are always mapped to the same UUIDv5', async t => {
  const claims = { ...claimsOf(ada), sub: 'auth0|4711', org_id: 'acme', name: 'Mapped' }
  const first = (await me(signed(HS256, claims))).body.user
  const second = (await me(signed(HS256, { ...claims, name: 'Mapped Again' }))).body.user

  const V5 = /^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
  t.match(first.id, V5)
  t.match(first.org_id, V5)
  t.same([second.id, second.org_id, second.display_name], [first.id, first.org_id, 'Mapped Again'])
  t.equal(first.id, 'aa813c0d-3222-54cb-a0bc-48f1a560010f', 'for ever, also in a database that is made anew')
})

t.test('two subjects that only look alike are two people', async t => {
  const org_id = randomUUID()
  const idOf = async (sub: string) => (await me(signed(HS256, { ...claimsOf(ada), sub, org_id }))).body.user.id
  const alike = [ada.id, ` ${ada.id}`, `${ada.id}\u200e`, 'a b', 'a  b', 'a b ', 'a\u202eb', '\u00e9', 'e\u0301', 'A b']
  const ids = []
  for (const sub of alike) ids.push(await idOf(sub))

  t.equal(new Set(ids).size, alike.length, JSON.stringify(ids))
  t.equal(await idOf(ada.id.toUpperCase()), ada.id, 'a UUID is the same in capitals')
})

t.test('a name of many characters outside the basic plane is cut and does not shut its owner out', async t => {
  const who = person({ name: '\u{1f600}'.repeat(180) })
  const others = Array.from({ length: 5 }, () => person({ name: 'Bystander' }))
  const answers = await Promise.all([who, ...others].map(one => me(signed(HS256, claimsOf(one, { title: '\u{1d160}'.repeat(200) })))))

  t.same(
    answers.map(({ status }) => status),
    [200, 200, 200, 200, 200, 200]
  )
  const { display_name } = answers[0]!.body.user
  t.ok(display_name.length <= 200 && display_name.isWellFormed(), `${display_name.length} units`)
})

t.test('a token of 100 kB is refused before it is looked at', async t => {
  const token = signed(HS256, claimsOf(ada, { padding: 'x'.repeat(100_000) }))
  const byHeader = await me(token)
  t.equal(byHeader.status, 431)
  isProblem(t, await me(signed(HS256, claimsOf(ada, { padding: 'x'.repeat(8_000) }))), 401, 'unauthenticated', 'one of 10 kB')
  const socket = openSocket(url, signed(HS256, claimsOf(ada, { padding: 'x'.repeat(30_000) })))
  t.equal((await socket.closed).code, 4001)
})

t.test('no token, however it came, stands in a log', async t => {
  const token = signed(HS256, claimsOf(ada))
  await me(token)
  const byQuery = openSocket(url, token, { how: 'query' })
  await byQuery.ready
  await byQuery.close()
  await client(url).get(`/me?token=${token}`)
  await client(url).get(`/nowhere/${token}`)

  const log = await platform.gateways[0]!.log()
  t.notMatch(log, token.split('.')[2]!)
  t.match(log, '"msg":"request"')
})
