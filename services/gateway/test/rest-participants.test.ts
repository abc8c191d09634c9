import { randomUUID } from 'node:crypto'
import { ROUTES } from '@parley/contracts'
import { colleagues, failOnLeftovers, person, startPlatform } from '@parley/test-kit'
import t from 'tap'
import { fits, group, isProblem, known } from './expect.ts'

failOnLeftovers(t)
const platform = await startPlatform(t)
const [ada, ben, cleo, dan] = colleagues('Ada', 'Ben', 'Cleo', 'Dan')
const stranger = person({ name: 'Stranger' })
await known(platform, ada, ben, cleo, dan, stranger)
const as = platform.client

t.test('a person is added with 201, and with 200 and unchanged a second time', async t => {
  const id = await group(platform, ada, ben)
  const first = await as(ada).post(`/conversations/${id}/participants`, { user_id: cleo.id, role: 'guest' })
  fits(t, first, 201, ROUTES.addParticipant.replies[201])
  t.match(first.body, { user_id: cleo.id, display_name: 'Cleo', role: 'guest', is_active: true })
  const again = await as(ada).post(`/conversations/${id}/participants`, { user_id: cleo.id.toUpperCase(), role: 'admin' })
  fits(t, again, 200, ROUTES.addParticipant.replies[200])
  t.same(again.body, first.body)
  t.match((await as(ada).post(`/conversations/${id}/participants`, { user_id: dan.id })).body, { role: 'member' })
  t.equal((await as(cleo).get(`/conversations/${id}`)).body.participant_count, 4)
})

t.test('a role is changed with 200 and the participant, a person removed with 204, as often as it is asked', async t => {
  const id = await group(platform, ada, ben, cleo)
  const changed = await as(ada).patch(`/conversations/${id}/participants/${ben.id}`, { role: 'admin' })
  fits(t, changed, 200, ROUTES.changeParticipant.replies[200])
  t.match(changed.body, { user_id: ben.id, role: 'admin' })
  for (const n of [1, 2]) {
    const { status, body } = await as(ben).delete(`/conversations/${id}/participants/${cleo.id}`)
    t.same([status, body], [204, ''], `time ${n}`)
  }
  for (const n of [1, 2]) t.equal((await as(ben).delete(`/conversations/${id}/participants/${ben.id}`)).status, 204, `leaving, time ${n}`)
  isProblem(t, await as(cleo).get(`/conversations/${id}`), 403, 'not_a_participant')
  isProblem(t, await as(cleo).post(`/conversations/${id}/messages`, { content: 'still here' }), 403, 'not_a_participant')
  t.equal((await as(cleo).get('/conversations')).body.conversations.filter((c: { id: string }) => c.id === id).length, 0)
  const { body } = await as(ada).get(`/conversations/${id}/messages`)
  t.match(
    body.messages.map(({ content_type, metadata }: { content_type: string; metadata: { event: string } }) => [
      content_type,
      metadata.event
    ]),
    [
      ['system', 'participant_removed'],
      ['system', 'participant_left']
    ]
  )
})

t.test('who may not, who is elsewhere and what is not there are refused', async t => {
  const id = await group(platform, ada, ben)
  const at = `/conversations/${id}/participants`
  isProblem(t, await as(ben).post(at, { user_id: cleo.id }), 403, 'forbidden', 'a member who adds')
  isProblem(t, await as(ben).patch(`${at}/${ben.id}`, { role: 'admin' }), 403, 'forbidden', 'a member who rises')
  isProblem(t, await as(ben).delete(`${at}/${ada.id}`), 403, 'forbidden', 'a member who removes')
  isProblem(t, await as(ada).patch(`${at}/${ada.id}`, { role: 'member' }), 403, 'forbidden', 'the last owner')
  isProblem(t, await as(cleo).post(at, { user_id: dan.id }), 403, 'not_a_participant')
  isProblem(t, await as(cleo).delete(`${at}/${cleo.id}`), 403, 'not_a_participant', 'leaving where one never was')
  for (const [method, path] of [
    ['POST', at],
    ['PATCH', `${at}/${ben.id}`],
    ['DELETE', `${at}/${ben.id}`]
  ] as const) {
    const body = method === 'POST' ? { user_id: stranger.id } : method === 'PATCH' ? { role: 'admin' } : undefined
    isProblem(t, await as(stranger).ask(method, path, body), 404, 'conversation_not_found', `${method} of another organization`)
    isProblem(t, await as(ada).ask(method, path.replace(id, randomUUID()), body), 404, 'conversation_not_found', `${method} nowhere`)
  }
  isProblem(t, await as(ada).post(at, { user_id: stranger.id }), 404, 'user_not_found')
  isProblem(t, await as(ada).post(at, { user_id: randomUUID() }), 404, 'user_not_found')
  isProblem(t, await as(ada).patch(`${at}/${cleo.id}`, { role: 'admin' }), 404, 'user_not_found')
  isProblem(t, await as(ada).delete(`${at}/${randomUUID()}`), 404, 'user_not_found')
  t.match((await as(ada).get(`/conversations/${id}`)).body, { version: 1, participant_count: 2 }, 'nothing was changed')
})

t.test('a direct conversation takes no third person, has no roles and is not left', async t => {
  const { body } = await as(ada).post(`/conversations/dm/${ben.id}`)
  const at = `/conversations/${body.id}/participants`
  isProblem(t, await as(ada).post(at, { user_id: cleo.id }), 400, 'direct_conversation')
  isProblem(t, await as(ada).patch(`${at}/${ben.id}`, { role: 'admin' }), 400, 'direct_conversation')
  isProblem(t, await as(ada).delete(`${at}/${ada.id}`), 400, 'direct_conversation')
  isProblem(t, await as(ada).delete(`${at}/${ben.id}`), 400, 'direct_conversation')
  t.equal((await as(ada).post(at, { user_id: ben.id })).status, 200, 'who is in already is')
})

t.test('what breaks the contract is told field by field', async t => {
  const id = await group(platform, ada, ben)
  const at = `/conversations/${id}/participants`
  isProblem(t, await as(ada).post(at, {}), 400, 'invalid_request')
  isProblem(t, await as(ada).post(at), 400, 'invalid_request')
  isProblem(t, await as(ada).post(at, { user_id: 'cleo' }), 400, 'invalid_request')
  isProblem(t, await as(ada).post(at, { user_id: cleo.id, role: 'king' }), 400, 'invalid_request')
  isProblem(t, await as(ada).post(at, { user_id: cleo.id, joined_at: '2020-01-01T00:00:00Z' }), 400, 'unknown_field')
  isProblem(t, await as(ada).patch(`${at}/${ben.id}`, {}), 400, 'invalid_request')
  isProblem(t, await as(ada).patch(`${at}/${ben.id}`, { role: 'admin', is_active: false }), 400, 'unknown_field')
  isProblem(t, await as(ada).patch(`${at}/ben`, { role: 'admin' }), 400, 'invalid_id')
  isProblem(t, await as(ada).delete(`${at}/ben`), 400, 'invalid_id')
  isProblem(t, await as(ada).delete(`/conversations/here/participants/${ben.id}`), 400, 'invalid_id')
})

t.test('who was away does not see what was said meanwhile, whichever call they try', async t => {
  const id = await group(platform, ada, ben)
  const secret = (await as(ada).post(`/conversations/${id}/messages`, { content: 'secret' })).body
  await as(ada).post(`/conversations/${id}/participants`, { user_id: cleo.id })
  await as(ada).post(`/conversations/${id}/messages`, { content: 'welcome' })
  const answers = await Promise.all([
    as(cleo).get(`/conversations/${id}/messages`),
    as(cleo).get(`/conversations/${id}/messages?page=1`),
    as(cleo).get(`/conversations/${id}/messages?after=0`),
    as(cleo).get(`/conversations/${id}/changes?since=0`),
    as(cleo).post('/sync', { cursors: { [id]: 0 } }),
    as(cleo).get(`/conversations/${id}`),
    as(cleo).get('/conversations')
  ])
  for (const { status, body } of answers) {
    t.equal(status, 200)
    t.match(JSON.stringify(body), 'welcome')
    t.notMatch(JSON.stringify(body), 'secret')
  }
  t.same(
    answers[0]!.body.messages.map(({ seq }: { seq: number }) => seq),
    [2, 3]
  )
  for (const path of ['', '/history', '/receipts'])
    isProblem(t, await as(cleo).get(`/messages/${secret.id}${path}`), 404, 'message_not_found', path)
  t.same((await as(cleo).get('/unread')).body, {
    total: 1,
    mention_total: 0,
    conversations: [{ conversation_id: id, unread_count: 1, mention_count: 0 }]
  })
})
