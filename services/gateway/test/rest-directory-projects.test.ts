import { randomUUID } from 'node:crypto'
import { ROUTES } from '@parley/contracts'
import { client, colleagues, failOnLeftovers, type Person, person, startPlatform, until } from '@parley/test-kit'
import t from 'tap'
import { fits, isProblem, known } from './expect.ts'

failOnLeftovers(t)
const platform = await startPlatform(t)
const [ada, ben, cleo, dan] = colleagues('Ada', 'Ben', 'Cleo', 'Dan')
const host = person({ name: 'Host', org_id: ada.org_id, role: 'service' })
const stranger = person({ name: 'Stranger' })
const foreignHost = person({ name: 'Foreign host', org_id: stranger.org_id, role: 'service' })
await known(platform, ada, ben, cleo, dan, host, stranger, foreignHost)
const as = platform.client
const anyone = client(platform.urls[0]!)
const roles = (['member', 'moderator', 'admin'] as const).map(role => person({ name: role, org_id: ada.org_id, role }))

async function project(): Promise<string> {
  const id = randomUUID()
  await as(host).put(`/projects/${id}`, { name: 'Line 3' })
  return id
}

/** A conversation of a project and its people; the first one makes it. */
async function conversationOf(project_id: string, ...people: [Person, ...Person[]]): Promise<string> {
  for (const { id } of people) await as(host).put(`/projects/${project_id}/members/${id}`)
  return (await as(people[0]).post('/conversations', { type: 'project', project_id })).body.id
}

t.test('a project is created and brought up to date; what is left out stays, null is nothing', async t => {
  const id = randomUUID()
  const first = await as(host).put(`/projects/${id.toUpperCase()}`, { name: ' Line\n3 ', description: 'Drives' })
  fits(t, first, 200, ROUTES.putProject.replies[200])
  t.match(first.body, { id, org_id: ada.org_id, name: 'Line 3', description: 'Drives' })
  const second = await as(host).put(`/projects/${id}`, { name: 'Line 4' })
  t.match(second.body, { id, name: 'Line 4', description: 'Drives', created_at: first.body.created_at })
  t.match((await as(host).put(`/projects/${id}`, { description: null })).body, { name: 'Line 4', description: null })
  t.match((await as(host).put(`/projects/${id}`)).body, { name: 'Line 4', description: null }, 'said without a body it changes nothing')
  const nameless = await as(host).put(`/projects/${randomUUID()}`, {})
  fits(t, nameless, 200, ROUTES.putProject.replies[200])
  t.match(nameless.body, { name: null, description: null })
})

t.test('who comes into a project is in its conversations at once, and out of them when they go', async t => {
  const id = await project()
  const conversation = await conversationOf(id, ada, ben)
  const live = await platform.connect(t, cleo)
  for (const n of [1, 2]) {
    const { status, body } = await as(host).put(`/projects/${id}/members/${cleo.id.toUpperCase()}`)
    t.same([status, body], [204, ''], `time ${n}`)
  }
  await until(() => live.frames.some(frame => frame.type === 'conversation_added' && frame.conversation_id === conversation))
  const { body } = await as(cleo).get(`/conversations/${conversation}/messages`)
  t.match(body.messages, [
    { content: 'Host added Cleo', content_type: 'system', metadata: { event: 'participant_added', user_id: cleo.id } }
  ])
  t.equal((await as(cleo).post(`/conversations/${conversation}/messages`, { content: 'here I am' })).status, 201)

  for (const n of [1, 2]) t.equal((await as(host).delete(`/projects/${id}/members/${cleo.id}`)).status, 204, `time ${n}`)
  await until(() => live.frames.some(frame => frame.type === 'conversation_removed' && frame.conversation_id === conversation))
  isProblem(t, await as(cleo).get(`/conversations/${conversation}`), 403, 'not_a_participant')
})

t.test('a conversation of a project is made with all its members, is listed with it, and shares its history', async t => {
  const project_id = randomUUID()
  await as(host).put(`/projects/${project_id}`, { name: 'Boat' })
  for (const who of [ada, ben]) await as(host).put(`/projects/${project_id}/members/${who.id}`)
  const created = await as(ada).post('/conversations', { type: 'project', project_id, title: 'Hull', participant_ids: [cleo.id] })
  fits(t, created, 201, ROUTES.createConversation.replies[201])
  t.match(created.body, { type: 'project', project_id, history: 'all', participant_count: 3, my: { role: 'owner' } })
  t.same(new Set(created.body.participants.map(({ user_id }: { user_id: string }) => user_id)), new Set([ada.id, ben.id, cleo.id]))
  for (const who of [ben, cleo]) {
    const listed = await as(who).get(`/projects/${project_id}/conversations`)
    fits(t, listed, 200, ROUTES.projectConversations.replies[200])
    t.match(listed.body, { conversations: [{ id: created.body.id }], pagination: { total_items: 1 } })
  }
  t.same((await as(dan).get(`/projects/${project_id}/conversations`)).body.conversations, [], 'of others nothing is listed')
  isProblem(t, await as(dan).post('/conversations', { type: 'project', project_id }), 403, 'forbidden', 'who is not in the project')
  isProblem(t, await as(ada).post('/conversations', { type: 'project', project_id: randomUUID() }), 404, 'project_not_found')
  isProblem(t, await as(ada).post('/conversations', { type: 'project' }), 400, 'invalid_request')
  isProblem(t, await as(ada).post('/conversations', { type: 'group', participant_ids: [], project_id }), 400, 'invalid_request')
})

t.test('nobody but the host application keeps projects in step', async t => {
  const id = await project()
  const calls = [
    ['PUT', `/projects/${id}`, { name: 'mine' }],
    ['PUT', `/projects/${id}/members/${ben.id}`, undefined],
    ['DELETE', `/projects/${id}/members/${ben.id}`, undefined],
    ['PUT', `/projects/${randomUUID()}`, {}],
    ['PUT', `/projects/${randomUUID()}/members/${ben.id}`, undefined]
  ] as const
  for (const [method, path, body] of calls) {
    for (const who of roles) isProblem(t, await as(who).ask(method, path, body), 403, 'forbidden', `${method} as ${who.role}`)
    isProblem(t, await anyone.ask(method, path, body), 401, 'unauthenticated', method)
  }
  t.match((await as(host).put(`/projects/${id}`, {})).body, { name: 'Line 3' })
})

t.test('what is not there, or is of another organization, is not found', async t => {
  const id = await project()
  for (const method of ['PUT', 'DELETE'] as const) {
    isProblem(t, await as(host).ask(method, `/projects/${randomUUID()}/members/${ada.id}`), 404, 'project_not_found', method)
    isProblem(t, await as(host).ask(method, `/projects/${id}/members/${randomUUID()}`), 404, 'user_not_found', method)
    isProblem(t, await as(host).ask(method, `/projects/${id}/members/${stranger.id}`), 404, 'user_not_found', method)
    isProblem(t, await as(foreignHost).ask(method, `/projects/${id}/members/${stranger.id}`), 404, 'project_not_found', method)
    isProblem(t, await as(foreignHost).ask(method, `/projects/${id}/members/${ada.id}`), 404, 'project_not_found', method)
  }
  const theirs = await as(foreignHost).put(`/projects/${id}`, { name: 'Ours now' })
  t.match(theirs.body, { id, org_id: stranger.org_id, description: null }, 'the same id is a project of their own')
  t.match((await as(host).put(`/projects/${id}`, {})).body, { org_id: ada.org_id, name: 'Line 3' }, 'and this one is as it was')
})

t.test('what breaks the contract is told', async t => {
  const id = await project()
  isProblem(t, await as(host).put('/projects/line-3', {}), 400, 'invalid_id')
  isProblem(t, await as(host).put(`/projects/line-3/members/${ada.id}`), 400, 'invalid_id')
  isProblem(t, await as(host).delete(`/projects/${id}/members/ada`), 400, 'invalid_id')
  isProblem(t, await as(host).put(`/projects/${id}`, { name: 3 }), 400, 'invalid_request')
  isProblem(t, await as(host).put(`/projects/${id}`, { name: 'x'.repeat(201) }), 400, 'invalid_request')
  isProblem(t, await as(host).put(`/projects/${id}`, { title: 'Line 3' }), 400, 'unknown_field')
  isProblem(t, await as(host).put(`/projects/${id}`, { name: 'a\u0000b' }), 400, 'invalid_text')
})
