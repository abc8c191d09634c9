import { randomUUID } from 'node:crypto'
import { ROUTES, routes } from '@parley/contracts'
import { client, colleagues, failOnLeftovers, person, startPlatform } from '@parley/test-kit'
import t from 'tap'
import { fits, isProblem, known } from './expect.ts'

failOnLeftovers(t)
const platform = await startPlatform(t)
const [ada, ben, cleo] = colleagues('Ada', 'Ben', 'Cleo')
const stranger = person({ name: 'Stranger' })
await known(platform, ada, ben, cleo, stranger)
const anyone = client(platform.urls[0]!)

t.test('anyone may read the limits and features of the server', async t => {
  const answer = await anyone.get('/config')

  fits(t, answer, 200, ROUTES.config.replies[200])
  t.match(answer.body, {
    limits: { content_max: 5_000, file_max_bytes: 10_485_760, files_per_message: 5, file_types: Array, frame_max_bytes: 65_536 },
    features: {},
    demo: false
  })
  t.same(Object.keys(answer.body.limits.rates), ['messages', 'uploads', 'searches', 'api', 'connects'])
})

t.test('who I am has my user, my organization, my unread count and my settings', async t => {
  const answer = await platform.client(ada).get('/me')

  fits(t, answer, 200, ROUTES.me.replies[200])
  t.match(answer.body, {
    user: { id: ada.id, org_id: ada.org_id, username: 'ada', display_name: 'Ada', role: 'member', organization: { id: ada.org_id } },
    organization: { id: ada.org_id },
    unread_count: 0,
    settings: {}
  })
})

t.test('settings are kept for the person and come back on every device', async t => {
  const settings = { theme: 'dark', density: 2, nested: { on: true } }
  const answer = await platform.client(ada).patch('/me', { settings })

  fits(t, answer, 200, ROUTES.updateMe.replies[200])
  t.same(answer.body.settings, settings)
  t.same((await platform.client(ada).get('/me')).body.settings, settings)
  t.same((await platform.client(ben).get('/me')).body.settings, {}, 'nobody else has them')
  isProblem(t, await platform.client(ada).patch('/me', {}), 400, 'invalid_request')
  isProblem(t, await platform.client(ada).patch('/me', { settings: {}, role: 'admin' }), 400, 'unknown_field')
})

t.test('people of my organization are listed by name, found by a part of it, and never those of another', async t => {
  const all = await platform.client(ada).get('/users')
  fits(t, all, 200, ROUTES.listUsers.replies[200])
  t.same(
    all.body.users.map((user: { display_name: string }) => user.display_name),
    ['Ada', 'Ben', 'Cleo']
  )
  const found = await platform.client(ada).get('/users?q=LE')
  t.same(
    found.body.users.map((user: { id: string }) => user.id),
    [cleo.id]
  )
  t.equal((await platform.client(ada).get('/users?limit=2')).body.users.length, 2)
  t.same((await platform.client(ada).get('/users?q=%25')).body.users, [], 'a % stands for itself')
  t.same((await platform.client(ada).get('/users?q=Stranger')).body.users, [])
})

t.test('one person is read by id; one of another organization is not there', async t => {
  const answer = await platform.client(ada).get(`/users/${ben.id}`)
  fits(t, answer, 200, ROUTES.getUser.replies[200])
  t.match(answer.body, { id: ben.id, display_name: 'Ben', organization: { id: ada.org_id } })
  t.equal((await platform.client(ada).get(`/users/${ben.id.toUpperCase()}`)).body.id, ben.id, 'however it is written')

  isProblem(t, await platform.client(ada).get(`/users/${stranger.id}`), 404, 'user_not_found', 'a stranger')
  isProblem(t, await platform.client(ada).get(`/users/${randomUUID()}`), 404, 'user_not_found', 'nobody')
})

t.test('a stranger of another organization is told the same as of someone who does not exist', async t => {
  const strip = (body: Record<string, unknown>, id: string) =>
    JSON.stringify({ ...body, timestamp: '', request_id: '' }).replaceAll(id, 'ID')
  const nobody = randomUUID()

  const other = await platform.client(ada).get(`/users/${stranger.id}`)
  const none = await platform.client(ada).get(`/users/${nobody}`)

  t.equal(strip(other.body, stranger.id), strip(none.body, nobody))
})

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

t.test('a request id is echoed where it is a proper one, and made otherwise', async t => {
  const given = await anyone.get('/config', { 'x-request-id': 'trace:42.a-b_c' })
  t.equal(given.headers.get('x-request-id'), 'trace:42.a-b_c')
  const failed = await anyone.get('/me', { 'x-request-id': 'my-id' })
  t.equal(failed.body.request_id, 'my-id')
  for (const bad of ['a b', 'x'.repeat(129), '<script>']) {
    t.match((await anyone.get('/config', { 'x-request-id': bad })).headers.get('x-request-id'), /^[0-9a-f-]{36}$/, bad.slice(0, 10))
  }
  t.match((await anyone.get('/config')).headers.get('x-request-id'), UUID_V7)
})

for (const place of ['', '/api/v1']) {
  t.test(`health is told at ${place || 'the root'} without a token, each dependency by name`, async t => {
    const live = await anyone.get(`${place}/health/live`)
    t.equal(live.status, 200)
    const ready = await anyone.get(`${place}/health/ready`)
    t.equal(ready.status, 200)
    t.same(ready.body, { status: 'ready', dependencies: { nats: 'up', message_store: 'up', redis: 'up' } })
  })

  t.test(`the two specifications and the page to read them stand at ${place || 'the root'} without a token`, async t => {
    const open = await anyone.get(`${place}/openapi.json`)
    t.equal(open.status, 200)
    t.match(open.headers.get('content-type'), /^application\/json/)
    t.equal(open.body.openapi, '3.1.0')
    for (const { method, path } of routes.values()) t.ok(open.body.paths[path]?.[method.toLowerCase()], `${method} ${path} is described`)

    const live = await anyone.get(`${place}/asyncapi.json`)
    t.equal(live.body.asyncapi, '3.0.0')
    t.ok(live.body.components.messages.client_send_message)

    const page = await anyone.get(`${place}/docs`)
    t.match(page.headers.get('content-type'), /^text\/html/)
    t.match(page.body, '/conversations/{conversation_id}/messages')
    t.equal((await anyone.get(`${place}/docs.css`)).status, 200)
  })
}

t.test('what is nowhere is a problem too, with its request id', async t => {
  for (const [method, path] of [
    ['GET', '/nowhere'],
    ['DELETE', '/me'],
    ['PUT', '/conversations'],
    ['PATCH', '/config']
  ] as const) {
    const answer = await platform.client(ada).ask(method, path)
    t.ok([404, 405].includes(answer.status), `${method} ${path} answers ${answer.status}`)
    isProblem(t, answer, answer.status, answer.body.code, `${method} ${path}`)
  }
})

t.test('answers carry the headers that keep a browser from guessing', async t => {
  const { headers } = await platform.client(ada).get('/me')

  t.equal(headers.get('x-content-type-options'), 'nosniff')
  t.match(headers.get('content-security-policy'), "default-src 'self'")
  t.equal(headers.get('x-powered-by'), null)
})
