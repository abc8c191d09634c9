import { randomUUID } from 'node:crypto'
import { ROUTES } from '@parley/contracts'
import { colleagues, failOnLeftovers, person, startPlatform, until } from '@parley/test-kit'
import t from 'tap'
import { fits, group, isProblem, known } from './expect.ts'

failOnLeftovers(t)
const platform = await startPlatform(t)
const [ada, ben, cleo, dan] = colleagues('Ada', 'Ben', 'Cleo', 'Dan')
const stranger = person({ name: 'Stranger' })
await known(platform, ada, ben, cleo, dan, stranger)
const as = platform.client
const systemOf = async (id: string) =>
  (await as(ada).get(`/conversations/${id}/messages`)).body.messages
    .filter(({ content_type }: { content_type: string }) => content_type === 'system')
    .map(({ content, metadata }: { content: string; metadata: { event: string } }) => [metadata.event, content])

t.test('title, description, status, metadata and shared history are changed, told once, and told of in the conversation', async t => {
  const id = await group(platform, ada, ben)
  const socket = await platform.connect(t, ben)
  const changed = await as(ada).patch(`/conversations/${id}`, {
    title: '  The  boat ',
    description: 'Who sails\nwhen',
    metadata: { colour: 'blue' },
    history: 'all'
  })
  fits(t, changed, 200, ROUTES.changeConversation.replies[200])
  t.match(changed.body, {
    title: 'The boat',
    description: 'Who sails\nwhen',
    metadata: { colour: 'blue' },
    history: 'all',
    version: 3,
    last_seq: 1,
    unread_count: 0
  })
  await until(() => socket.frames.some(({ type }) => type === 'new_message'))
  t.match(
    socket.frames.filter(({ type }) => type === 'conversation_updated' || type === 'new_message'),
    [
      { type: 'conversation_updated', version: 2, conversation: { title: 'The boat', metadata: { colour: 'blue' } } },
      { type: 'new_message', version: 3, message: { content_type: 'system', metadata: { event: 'title_changed', title: 'The boat' } } }
    ],
    'the change first, what tells of it after'
  )
  const same = { title: 'The boat', description: 'Who sails\nwhen', metadata: { colour: 'blue' }, history: 'all', status: 'active' }
  t.match((await as(ada).patch(`/conversations/${id}`, same)).body, { version: 3 }, 'what is so already makes no version')
  t.match((await as(ada).patch(`/conversations/${id}`, {})).body, { version: 3 }, 'nor does nothing')
  t.match((await as(ada).patch(`/conversations/${id}`, { title: null, description: '' })).body, {
    title: null,
    description: null,
    version: 5
  })
  t.same(await systemOf(id), [
    ['title_changed', 'Ada changed the title to “The boat”'],
    ['title_changed', 'Ada took the title away']
  ])
  t.equal((await as(ben).get('/unread')).body.total, 0, 'what the system says is never unread')
})

t.test('a locked conversation is read and not written to, an archived one likewise, and both are opened again', async t => {
  const id = await group(platform, ada, ben)
  const { body: message } = await as(ben).post(`/conversations/${id}/messages`, { content: 'before' })
  for (const [status, code] of [
    ['locked', 'conversation_locked'],
    ['archived', 'conversation_archived']
  ]) {
    const { body } = await as(ada).patch(`/conversations/${id}`, { status })
    t.match(body, { status, my: { role: 'owner' } })
    t.notOk(body.my.capabilities.includes('send'), 'nobody is offered to write')
    for (const who of [ada, ben]) isProblem(t, await as(who).post(`/conversations/${id}/messages`, { content: 'x' }), 403, code!)
    isProblem(t, await as(ben).patch(`/messages/${message.id}`, { content: 'x' }), 403, code!)
    t.equal((await as(ben).get(`/conversations/${id}/messages`)).status, 200)
    t.match((await as(ada).get(`/conversations?status=${status}`)).body.conversations[0], { id })
  }
  t.ok((await as(ada).patch(`/conversations/${id}`, { status: 'active' })).body.my.capabilities.includes('send'))
  t.equal((await as(ben).post(`/conversations/${id}/messages`, { content: 'after' })).status, 201)
  t.same(
    (await systemOf(id)).map(([, content]: string[]) => content),
    ['Ada locked the conversation', 'Ada archived the conversation', 'Ada opened the conversation']
  )
})

t.test('who may not change a conversation is refused, and changes nothing', async t => {
  const id = await group(platform, ada, ben)
  await as(ada).post(`/conversations/${id}/participants`, { user_id: cleo.id, role: 'guest' })
  const at = `/conversations/${id}`
  const before = (await as(ada).get(at)).body.version
  for (const who of [ben, cleo]) isProblem(t, await as(who).patch(at, { title: 'mine' }), 403, 'forbidden')
  isProblem(t, await as(dan).patch(at, { title: 'mine' }), 403, 'not_a_participant')
  isProblem(t, await as(stranger).patch(at, { title: 'mine' }), 404, 'conversation_not_found')
  isProblem(t, await as(ada).patch(`/conversations/${randomUUID()}`, { title: 'x' }), 404, 'conversation_not_found')
  isProblem(t, await as(ada).patch('/conversations/7', { title: 'x' }), 400, 'invalid_id')
  for (const body of [
    { status: 'open' },
    { title: 'x'.repeat(256) },
    { title: 7 },
    { type: 'direct' },
    { metadata: 'x' },
    { metadata: { big: 'x'.repeat(9_000) } }
  ])
    t.equal((await as(ada).patch(at, body)).status, 400, JSON.stringify(body).slice(0, 40))
  const direct = (await as(ada).post(`/conversations/dm/${ben.id}`)).body.id
  isProblem(t, await as(ada).patch(`/conversations/${direct}`, { title: 'us' }), 400, 'direct_conversation')
  t.equal((await as(ada).get(at)).body.version, before)
  t.equal((await as(ada).patch(`${at}/participants/${ben.id}`, { role: 'admin' })).status, 200)
  t.equal((await as(ben).patch(at, { title: 'ours' })).status, 200, 'an admin may')
})

t.test('announcements are written by owners and admins alone', async t => {
  const { status, body } = await as(ada).post('/conversations', { type: 'announcement', title: 'News', participant_ids: [ben.id, cleo.id] })
  t.equal(status, 201)
  t.match(body, { type: 'announcement', history: 'all', my: { role: 'owner' } })
  const at = `/conversations/${body.id}/messages`
  t.equal((await as(ada).post(at, { content: 'We moved' })).status, 201)
  isProblem(t, await as(ben).post(at, { content: 'why?' }), 403, 'read_only')
  const socket = await platform.connect(t, ben)
  t.match(await socket.ask({ type: 'send_message', conversation_id: body.id, content: 'why?' }), {
    type: 'error',
    code: 'read_only',
    status: 403,
    retryable: false
  })
  t.notOk((await as(ben).get(`/conversations/${body.id}`)).body.my.capabilities.includes('send'))
  await as(ada).patch(`/conversations/${body.id}/participants/${ben.id}`, { role: 'admin' })
  t.equal((await as(ben).post(at, { content: 'Here is the map' })).status, 201)
  const together = await Promise.all([ben, cleo, ben, cleo].map(who => as(who).post(at, { content: 'at once' })))
  t.same(
    together.map(({ status }) => status),
    [201, 403, 201, 403],
    'in one batch each is judged for itself'
  )
})

t.test('a support conversation is made by anyone, and who comes later reads what was said before', async t => {
  const { body } = await as(ben).post('/conversations', { type: 'support', title: 'It does not start' })
  t.match(body, { type: 'support', history: 'all', participant_count: 1, my: { role: 'owner' } })
  await as(ben).post(`/conversations/${body.id}/messages`, { content: 'It says: no such file' })
  await as(ben).post(`/conversations/${body.id}/participants`, { user_id: dan.id })
  const { messages } = (await as(dan).get(`/conversations/${body.id}/messages`)).body
  t.match(messages[0], { content: 'It says: no such file' })
  t.match((await as(dan).get('/conversations?type=support')).body.conversations, [{ id: body.id }])
})

t.test('history is shared from when it is said to be: who comes then sees all of it, who came before does not', async t => {
  const id = await group(platform, ada, ben)
  await as(ada).post(`/conversations/${id}/messages`, { content: 'early' })
  await as(ada).post(`/conversations/${id}/participants`, { user_id: cleo.id })
  await as(ada).patch(`/conversations/${id}`, { history: 'all' })
  await as(ada).post(`/conversations/${id}/participants`, { user_id: dan.id })
  const first = async (who: typeof ada) => (await as(who).get(`/conversations/${id}/messages`)).body.messages[0].content
  t.equal(await first(dan), 'early')
  t.not(await first(cleo), 'early')
})

t.test('what a conversation is to me alone is kept for me, told to my devices and to nobody else', async t => {
  const id = await group(platform, ada, ben)
  const mine = await platform.connect(t, ada)
  const theirs = await platform.connect(t, ben)
  const until_ = new Date(Date.now() + 3_600_000).toISOString()
  const changed = await as(ada).patch(`/conversations/${id}/membership`, {
    notifications: 'mentions',
    muted_until: until_,
    pinned: true,
    draft: ' Dear Ben,\nI '
  })
  fits(t, changed, 200, ROUTES.changeMembership.replies[200])
  t.match(changed.body, {
    role: 'owner',
    notifications: 'mentions',
    muted_until: until_,
    pinned: true,
    draft: 'Dear Ben,\nI',
    archived: false
  })
  await until(() => mine.frames.some(({ type }) => type === 'membership_updated'))
  t.match(mine.frames.at(-1), { type: 'membership_updated', conversation_id: id, my: { draft: 'Dear Ben,\nI' } })
  t.same((await as(ada).get(`/conversations/${id}`)).body.my, changed.body)
  t.match((await as(ada).patch(`/conversations/${id}/membership`, { draft: '' })).body, {
    draft: null,
    pinned: true,
    notifications: 'mentions'
  })
  t.match((await as(ada).patch(`/conversations/${id}/membership`, { muted_until: null, draft: null })).body, { muted_until: null })
  t.match((await as(ben).get(`/conversations/${id}`)).body.my, { notifications: 'all', pinned: false, draft: null })
  t.notOk(theirs.frames.some(({ type }) => type === 'membership_updated'))
  t.equal((await as(ada).get(`/conversations/${id}`)).body.version, 1, 'it is no change of the conversation')
})

t.test('what I put away leaves my list, is found where I ask for it, and comes back with the next message unless muted', async t => {
  const [eve, fay] = colleagues('Eve', 'Fay')
  const quiet = await group(platform, eve, fay)
  const muted = await group(platform, eve, fay)
  await as(eve).patch(`/conversations/${muted}/membership`, { archived: true, notifications: 'none' })
  t.match((await as(eve).patch(`/conversations/${quiet}/membership`, { archived: true })).body, { archived: true })
  const listed = async (query: string) =>
    (await as(eve).get(`/conversations${query}`)).body.conversations.map(({ id }: { id: string }) => id).sort()
  t.same(
    [await listed(''), await listed('?archived=only'), await listed('?archived=true')],
    [[], [quiet, muted].sort(), [quiet, muted].sort()]
  )
  t.equal((await as(fay).get('/conversations')).body.conversations.length, 2, 'it is put away for me alone')
  for (const id of [quiet, muted]) await as(fay).post(`/conversations/${id}/messages`, { content: 'hello' })
  t.same([await listed(''), await listed('?archived=only')], [[quiet], [muted]])
  t.match((await as(eve).get(`/conversations/${quiet}`)).body.my, { archived: false })
  await as(eve).patch(`/conversations/${muted}/membership`, { archived: false })
  t.same(await listed('?archived=only'), [])
})

t.test('a pinned conversation stands before newer ones', async t => {
  const [eve, fay] = colleagues('Eve', 'Fay')
  const first = await group(platform, eve, fay)
  const second = await group(platform, eve, fay)
  await as(fay).post(`/conversations/${second}/messages`, { content: 'newer' })
  await as(eve).patch(`/conversations/${first}/membership`, { pinned: true })
  const ids = (await as(eve).get('/conversations')).body.conversations.map(({ id }: { id: string }) => id)
  t.same(ids, [first, second])
})

t.test('a membership is changed by who is in, with what fits its contract', async t => {
  const id = await group(platform, ada, ben)
  const at = `/conversations/${id}/membership`
  isProblem(t, await as(dan).patch(at, { pinned: true }), 403, 'not_a_participant')
  isProblem(t, await as(stranger).patch(at, { pinned: true }), 404, 'conversation_not_found')
  isProblem(t, await as(ada).patch(at, { draft: 'x'.repeat(5_001) }), 400, 'content_too_long')
  isProblem(t, await as(ada).patch(at, { draft: 'a\u0000b' }), 400, 'invalid_text')
  isProblem(t, await as(ada).patch(at, { role: 'owner' }), 400, 'unknown_field')
  for (const body of [{ archived: 'yes' }, { notifications: 'some' }, { muted_until: 'tomorrow' }, { muted_until: 7 }])
    isProblem(t, await as(ada).patch(at, body), 400, 'invalid_request', JSON.stringify(body))
  t.equal((await as(ada).patch(at, { draft: '😀'.repeat(5_000) })).status, 200, 'characters are counted, not units')
})

t.test('a person is told what they may do by their role, and the rest is refused', async t => {
  const id = await group(platform, ada, ben)
  const capabilities = async (who: typeof ada, of: string) => (await as(who).get(`/conversations/${of}`)).body.my.capabilities
  t.same(await capabilities(ada, id), [
    'send',
    'react',
    'pin',
    'mention_all',
    'add_participants',
    'remove_participants',
    'change_roles',
    'edit_conversation',
    'leave'
  ])
  t.same(await capabilities(ben, id), ['send', 'react', 'pin', 'mention_all', 'leave'])
  const { body } = await as(ada).post(`/conversations/dm/${ben.id}`)
  t.same(body.my.capabilities, ['send', 'react', 'pin', 'mention_all'])
})
