import { randomUUID } from 'node:crypto'
import { type RouteContract, routes } from '@parley/contracts'
import { type Answer, client, colleagues, failOnLeftovers, person, startPlatform } from '@parley/test-kit'
import t, { type Test } from 'tap'
import { group, isProblem, known } from './expect.ts'

failOnLeftovers(t)
const SECRET_WORDS = 'the-eagle-lands-at-nine'
const platform = await startPlatform(t, { demo: true })
const [ada, ben, outsider] = colleagues('Ada', 'Ben', 'Otto')
// An admin of another organization is as foreign as anyone of it.
const foreigner = person({ name: 'Foreigner', role: 'admin' })
await known(platform, ada, ben, outsider, foreigner)
const conversation_id = await group(platform, ada, ben)
const { body: message } = await platform.client(ada).post(`/conversations/${conversation_id}/messages`, { content: SECRET_WORDS })
const ids = { conversation_id, message_id: message.id as string, user_id: ben.id }
const EMOJI = encodeURIComponent('👍')

/** A call of each route that is good in all but who makes it. A route that is missing here fails the first test. */
const BODIES: Record<string, unknown> = {
  'PATCH /me': { settings: {} },
  'PUT /users/{user_id}': {},
  'PUT /projects/{project_id}': {},
  'POST /conversations': { type: 'group', participant_ids: [] },
  'POST /conversations/dm/{user_id}': undefined,
  'PATCH /conversations/{conversation_id}': {},
  'PATCH /conversations/{conversation_id}/membership': {},
  'POST /conversations/{conversation_id}/messages': { content: 'x' },
  'POST /conversations/{conversation_id}/participants': { user_id: ben.id },
  'PATCH /conversations/{conversation_id}/participants/{user_id}': { role: 'member' },
  'POST /messages': { recipient_id: ben.id, content: 'x' },
  'PATCH /messages/{message_id}': { content: 'x' },
  'POST /messages/{message_id}/forward': { conversation_id },
  'PATCH /scheduled/{scheduled_id}': { content: 'x' },
  'POST /admin/messages/{message_id}/restore': undefined,
  'PATCH /conversations/{conversation_id}/read': {},
  'POST /conversations/{conversation_id}/read': {},
  'POST /sync': { cursors: {} },
  'POST /ws/ticket': undefined,
  'POST /demo/sign-in': { user_id: randomUUID() }
}
const all = [...routes.values()]
const closed = all.filter(route => !route.public)
const nameOf = ({ method, path }: RouteContract) => `${method} ${path}`
const pathOf = ({ path }: RouteContract, of: Record<string, string> = ids) =>
  path.replace(/\{(\w+)\}/g, (_, name) => (name === 'emoji' ? EMOJI : (of[name] ?? randomUUID()))) +
  (path.endsWith('/changes') ? '?since=0' : path.endsWith('/search') ? '?q=x' : '')
const call = (route: RouteContract, token: string | undefined, of = ids): Promise<Answer<unknown>> =>
  client(platform.urls[0]!, token).ask(route.method, pathOf(route, of), BODIES[nameOf(route)])

t.test('every route that takes a body is called with a good one here', async t => {
  for (const route of all) if (route.body || route.method === 'POST') t.ok(nameOf(route) in BODIES, nameOf(route))
})

t.test('no route but the public ones answers without a token', async t => {
  for (const route of closed) isProblem(t, await call(route, undefined), 401, 'unauthenticated', nameOf(route))
})

t.test('no route answers to a token that is none, or is signed by someone else, or has expired', async t => {
  const forged = platform.token(ada).replace(/.$/, last => (last === 'A' ? 'Q' : 'A'))
  const expired = platform.token(ada, { expires_in_seconds: -1 })
  for (const route of closed) {
    isProblem(t, await call(route, 'nonsense'), 401, 'unauthenticated', nameOf(route))
    isProblem(t, await call(route, forged), 401, 'unauthenticated', nameOf(route))
    isProblem(t, await call(route, expired), 401, 'token_expired', nameOf(route))
  }
})

t.test('an Authorization header of another form is no token', async t => {
  const token = platform.token(ada)
  for (const authorization of ['Bearer', 'Bearer ', `Basic ${token}`, token, `Bearer ${token} x`, `Bearer ${token},${token}`]) {
    isProblem(t, await client(platform.urls[0]!).get('/me', { authorization }), 401, 'unauthenticated', authorization.slice(0, 20))
  }
  t.equal((await client(platform.urls[0]!).get('/me', { authorization: `bearer   ${token}` })).status, 200, 'case and spaces are free')
})

/** Nobody but the host application may, whatever the id: its own test holds that. */
const HOST_ALONE = [
  'PUT /users/{user_id}',
  'DELETE /users/{user_id}',
  'PUT /projects/{project_id}/members/{user_id}',
  'DELETE /projects/{project_id}/members/{user_id}'
]
/** Routes that name something by an id, and what the refusal is called. */
const naming = closed.filter(route => /\{(conversation_id|message_id|user_id)\}/.test(route.path) && !HOST_ALONE.includes(nameOf(route)))
const missing = ({ path }: RouteContract) =>
  path.includes('{message_id}') ? 'message_not_found' : path.includes('{conversation_id}') ? 'conversation_not_found' : 'user_not_found'

function tellsNothing(t: Test, answer: Answer<unknown>, what: string): void {
  t.notMatch(JSON.stringify(answer.body), new RegExp(`${SECRET_WORDS}|Ada|Ben|${ada.org_id}|${ada.id}`), `${what} tells nothing`)
}

t.test('everything of another organization is not found, and answers just as what does not exist', async t => {
  const token = platform.token(foreigner)
  const nothing = { conversation_id: randomUUID(), message_id: randomUUID(), user_id: randomUUID() }
  for (const route of naming) {
    const there = await call(route, token)
    isProblem(t, there, 404, missing(route), nameOf(route))
    tellsNothing(t, there, nameOf(route))
    const nowhere = await call(route, token, nothing)
    const alike = ({ body }: Answer<unknown>, of: Record<string, string>) => {
      let text = JSON.stringify({ ...(body as object), timestamp: '', request_id: '' })
      for (const id of Object.values(of)) text = text.replaceAll(id, 'ID')
      return text
    }
    t.equal(alike(there, ids), alike(nowhere, nothing), `${nameOf(route)} answers the same for both`)
  }
})

t.test('a conversation of one’s own organization that one is no participant of is forbidden, with all that is in it', async t => {
  const token = platform.token(outsider)
  for (const route of naming.filter(({ path }) => !path.includes('{user_id}'))) {
    const answer = await call(route, token)
    isProblem(t, answer, 403, route.path.startsWith('/admin/') ? 'forbidden' : 'not_a_participant', nameOf(route))
    tellsNothing(t, answer, nameOf(route))
  }
})

t.test('lists, counts and syncs of someone else hold nothing of a conversation that they are not in', async t => {
  for (const who of [outsider, foreigner]) {
    const mine = platform.client(who)
    t.same((await mine.get('/conversations?archived=true')).body.conversations, [])
    t.same((await mine.get('/unread')).body, { total: 0, mention_total: 0, conversations: [] })
    const { body } = await mine.post('/sync', { cursors: { [conversation_id]: 0 } })
    t.same(body, { conversations: [], added: [], removed: [conversation_id], reset: [], has_more: false })
  }
  const { body } = await platform.client(foreigner).get('/users')
  t.same(
    body.users.map((user: { id: string }) => user.id),
    [foreigner.id]
  )
})

t.test('a message of another conversation is no cursor, no reply and no read position in mine', async t => {
  const own = await group(platform, outsider, ben)
  const mine = platform.client(outsider)
  for (const cursor of ['before', 'after', 'around']) {
    isProblem(t, await mine.get(`/conversations/${own}/messages?${cursor}=${message.id}`), 400, 'invalid_cursor', cursor)
  }
  isProblem(t, await mine.post(`/conversations/${own}/messages`, { content: 'x', reply_to_id: message.id }), 400, 'invalid_reply')
  isProblem(t, await mine.post(`/conversations/${own}/read`, { message_id: message.id }), 404, 'message_not_found')
})

t.test('the same subject in two organizations is two people', async t => {
  const twin = { ...person({ name: 'Twin' }), id: ada.id }
  await known(platform, twin)

  const { body: me } = await platform.client(twin).get('/me')
  t.match(me.user, { id: ada.id, org_id: twin.org_id, display_name: 'Twin' })
  t.equal((await platform.client(ada).get('/me')).body.user.display_name, 'Ada', 'the other one is as before')
  isProblem(t, await platform.client(twin).get(`/conversations/${conversation_id}`), 404, 'conversation_not_found')
  isProblem(t, await platform.client(twin).patch(`/messages/${message.id}`, { content: 'x' }), 404, 'message_not_found')
  t.same((await platform.client(twin).get('/conversations')).body.conversations, [])
})

t.test('a person of the demo can be signed in as, and nobody of another organization', async t => {
  const { body: people } = await client(platform.urls[0]!).get('/demo/people')
  isProblem(t, await client(platform.urls[0]!).post('/demo/sign-in', { user_id: ada.id }), 404, 'user_not_found')
  t.notMatch(JSON.stringify(people), /Ada|Ben/)
})
