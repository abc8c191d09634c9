import { randomUUID } from 'node:crypto'
import { ROUTES } from '@parley/contracts'
import { client, colleagues, failOnLeftovers, person, startPlatform, until } from '@parley/test-kit'
import t from 'tap'
import { fits, group, isProblem, known } from './expect.ts'
import { exchange } from './raw.ts'

failOnLeftovers(t)
const platform = await startPlatform(t)
const url = platform.urls[0]!
const [ada, ben, cleo] = colleagues('Ada', 'Ben', 'Cleo')
const host = person({ name: 'Host', org_id: ada.org_id, role: 'service' })
await known(platform, ada, ben, cleo, host)
const asAda = platform.client(ada)
const asBen = platform.client(ben)

t.test('S0: A writes to B by B alone, B lists, reads and marks read by the paths of its page, and A deletes', async t => {
  const sent = await asAda.post('/api/v1/messages', { recipient_id: ben.id, content: 'Hello', attachments: [] })
  fits(t, sent, 201, ROUTES.sendToPerson.replies[201])
  const { conversation_id } = sent.body
  t.match(sent.body, { content: 'Hello', sender: { id: ada.id, display_name: 'Ada', avatar_url: null } })
  await asAda.post('/api/v1/messages', { recipient_id: ben.id, content: 'Are you there?' })

  const list = await asBen.get('/api/v1/messages/conversations?page=1&page_size=50&archived=false')
  fits(t, list, 200, ROUTES.listConversations.replies[200])
  t.match(list.body, {
    conversations: [
      {
        id: conversation_id,
        participant: { id: ada.id, display_name: 'Ada' },
        last_message: { content: 'Are you there?', sender_id: ada.id, is_read: false },
        unread_count: 2
      }
    ],
    pagination: { page: 1, page_size: 50, total_items: 1, total_pages: 1 }
  })
  t.equal((await asBen.get('/api/v1/messages/conversations')).body.pagination.page_size, 20)
  isProblem(t, await asBen.get('/api/v1/messages/conversations?page_size=51'), 400, 'invalid_request')

  const path = `/api/v1/messages/conversations/${conversation_id}`
  const page = await asBen.get(`${path}?page=1&page_size=1`)
  fits(t, page, 200, ROUTES.conversationMessages.replies[200])
  t.match(page.body, {
    conversation_id,
    conversation: { id: conversation_id, participant: { id: ada.id }, unread_count: 2 },
    messages: [{ content: 'Are you there?', is_mine: false, is_read: false, attachments: [] }],
    pagination: { page: 1, page_size: 1, total_items: 2, total_pages: 2, has_next: true }
  })
  t.equal((await asBen.get(`${path}?page=2&page_size=1`)).body.messages[0].content, 'Hello')
  const whole = await asBen.get(path)
  t.match(whole.body.pagination, { page: 1, page_size: 20, total_items: 2 }, 'a page also where none is asked for')
  const before = await asBen.get(`${path}?page=1&page_size=20&before=${whole.body.messages[1].created_at}`)
  t.ok(before.body.messages.every(({ created_at }: { created_at: string }) => created_at < whole.body.messages[1].created_at))
  t.equal((await asBen.get(`${path}?before=2020-01-01T00:00:00Z`)).body.messages.length, 0)
  isProblem(t, await asBen.get(`${path}?limit=5`), 400, 'unknown_field')
  isProblem(t, await asBen.get(`${path}?page_size=101`), 400, 'invalid_request')
  isProblem(t, await platform.client(cleo).get(path), 403, 'not_a_participant')
  isProblem(t, await platform.client(person()).get(path), 404, 'conversation_not_found')
  isProblem(t, await asBen.get('/api/v1/messages/conversations/health'), 400, 'invalid_id')

  const read = await asBen.patch(`${path}/read`)
  fits(t, read, 200, ROUTES.markRead.replies[200])
  t.match(read.body, { success: true, marked_read: 2, unread_count: 0 })
  t.equal((await asBen.ask('PATCH', `${path}/read`, '')).status, 200, 'also with an empty body that says it is JSON')

  const deleted = await asAda.delete(`/api/v1/messages/${sent.body.id}`)
  fits(t, deleted, 200, ROUTES.deleteMessage.replies[200])
  t.equal(deleted.body.message, 'Message deleted successfully')
  fits(t, await asAda.get(`/api/v1/messages/${sent.body.id}`), 200, ROUTES.getMessage.replies[200], 'a message is still read by its id')
})

t.test('S1: the conversations of a project, their messages, sending, reading and searching, with its names of fields', async t => {
  const project = randomUUID()
  await platform.client(host).put(`/projects/${project}`, { name: 'Line 3' })
  for (const { id } of [ada, ben]) await platform.client(host).put(`/projects/${project}/members/${id}`)
  const made = await asAda.post('/api/conversations', { type: 'project', projectId: project, title: 'Line 3' })
  fits(t, made, 201, ROUTES.createConversation.replies[201])
  t.match(made.body, { type: 'project', project_id: project }, 'the type of a conversation is its own field')
  const { id } = made.body
  const listed = await asBen.get(`/api/projects/${project}/conversations`)
  fits(t, listed, 200, ROUTES.projectConversations.replies[200])
  t.equal(listed.body.conversations[0].id, id)
  t.equal((await asBen.get(`/api/conversations?projectId=${project}`)).body.conversations[0].id, id, 'in a query too')
  t.equal((await asBen.get(`/api/conversations?projectId=${randomUUID()}`)).body.conversations.length, 0)

  const sent = await asAda.post(`/api/conversations/${id}/messages`, { content: 'Pomegranate', type: 'text', fileIds: [] })
  fits(t, sent, 201, ROUTES.sendMessage.replies[201])
  t.match(sent.body, { content_type: 'text', attachments: [] })
  t.equal((await asAda.post(`/api/conversations/${id}/messages`, { content: 'plan', type: 'file' })).body.content_type, 'file')
  const reply = await asBen.post(`/api/conversations/${id}/messages`, { content: 'yes', replyToId: sent.body.id, clientMessageId: 'c-1' })
  t.match(reply.body, { reply_to_id: sent.body.id, client_message_id: 'c-1' })
  const page = await asBen.get(`/api/conversations/${id}/messages?limit=50&before=${reply.body.id}`)
  fits(t, page, 200, ROUTES.listMessages.replies[200])
  t.equal(page.body.messages.at(-1).content, 'plan')

  const unread = (await asBen.get(`/api/conversations/${id}`)).body.unread_count
  const read = await asBen.post(`/api/conversations/${id}/read`, { messageId: sent.body.id })
  t.match(read.body, { success: true, last_read_seq: reply.body.seq }, 'what one sent moved the position further')
  t.equal(unread, 0)
  const found = await until(
    async () => {
      const answer = await asBen.get(`/api/conversations/${id}/search?q=pomegranate`)
      return answer.body.results?.length === 1 ? answer : undefined
    },
    { what: 'the search finds it', timeoutMs: 30_000 }
  )
  fits(t, found, 200, ROUTES.searchConversation.replies[200])

  const talk = await group(platform, ada, ben)
  const added = await asAda.post(`/api/conversations/${talk}/participants`, { userId: cleo.id, role: 'member' })
  t.same([added.status, added.body.user_id], [201, cleo.id])
})

t.test('S2: the paths below /api/messaging list, create, read, send and mark read', async t => {
  const made = await asAda.post('/api/messaging/conversations', { type: 'group', title: 'Line 4', participantIds: [ben.id] })
  fits(t, made, 201, ROUTES.createConversation.replies[201])
  t.equal(made.body.participant_count, 2)
  const path = `/api/messaging/conversations/${made.body.id}`
  t.equal((await asBen.get('/api/messaging/conversations')).body.conversations[0].id, made.body.id)
  const sent = await asAda.post(`${path}/messages`, { content: 'one' })
  t.equal(sent.status, 201)
  const page = await asBen.get(`${path}/messages?page=1&page_size=50`)
  fits(t, page, 200, ROUTES.listMessages.replies[200])
  t.equal(page.body.messages.at(-1).id, sent.body.id)
  t.match((await asBen.post(`${path}/read`)).body, { success: true, marked_read: 1, unread_count: 0 })
})

t.test('S3: direct conversations, pages, sending, reading, deleting and health by the paths below /api', async t => {
  const first = await asBen.post(`/api/conversations/dm/${cleo.id}`)
  t.equal(first.status, 201)
  const again = await platform.client(cleo).post(`/api/conversations/dm/${ben.id}`)
  t.same([again.status, again.body.id], [200, first.body.id])
  const path = `/api/conversations/${first.body.id}`
  const sent = await asBen.post(`${path}/messages`, { content: 'Hi', content_type: 'text' })
  fits(t, sent, 201, ROUTES.sendMessage.replies[201])
  const list = await platform.client(cleo).get('/api/conversations?page=1&page_size=20')
  t.match(list.body, { conversations: [{ last_message: { id: sent.body.id } }], pagination: { page: 1, page_size: 20, has_next: false } })
  const page = await platform.client(cleo).get(`${path}/messages?page=1&page_size=50`)
  t.match(page.body, {
    conversation_id: first.body.id,
    messages: [{ id: sent.body.id }],
    has_more: false,
    total: 1,
    pagination: { page: 1, page_size: 50, total_items: 1, total_pages: 1, has_next: false }
  })
  const read = await platform.client(cleo).patch(`${path}/read`, { message_id: sent.body.id })
  t.match(read.body, { marked_read: 1, unread_count: 0 })
  const deleted = await asBen.delete(`${path}/messages/${sent.body.id}`)
  fits(t, deleted, 200, ROUTES.deleteMessageIn.replies[200])
  const anyone = client(url)
  for (const health of ['/api/conversations/health', '/api/ws/health', '/api/ws/health?x=1']) {
    const answer = await anyone.get(health)
    t.same([answer.status, answer.body.status], [200, (await anyone.get('/health/ready')).body.status], health)
  }
})

for (const how of ['query', 'header', 'frame'] as const) {
  t.test(`S3: a socket at /api/ws with its token by ${how} takes frames with the names of any source`, async t => {
    const id = await group(platform, ada, ben)
    const socket = await platform.connect(t, ada, { path: '/api/ws', how })
    const other = await platform.connect(t, ben, { path: '/api/ws', how })
    t.match(await socket.ask({ type: 'join', conversationId: id }), { type: 'ack', conversation_id: id })
    const sent = await socket.ask({ type: 'send_message', conversationId: id, content: 'live', message_type: 'file', fileIds: [] })
    t.match(sent, { type: 'ack', message: { conversation_id: id, content_type: 'file' } })
    t.match(await other.next('new_message'), { message: { id: sent.message.id } })
    t.match(await other.ask({ type: 'mark_read', conversationId: id, messageId: sent.message.id }), { type: 'ack', unread_count: 0 })
    t.match(await socket.next('message_read'), { conversation_id: id, user_id: ben.id, message_id: sent.message.id })
    socket.send({ type: 'ping' })
    await socket.next('pong')
  })
}

t.test('a field under two names is refused, in a body, a query and a frame', async t => {
  const id = await group(platform, ada, ben)
  const send = (more: object) => asAda.post(`/conversations/${id}/messages`, { content: 'x', ...more })
  for (const more of [
    { content_type: 'text', type: 'text' },
    { type: 'text', message_type: 'text' },
    { attachments: [], fileIds: [] },
    { file_ids: [], fileIds: [] },
    { content_type: undefined, conversationId: id },
    { file_Ids: [] },
    { Type: 'text' }
  ])
    isProblem(t, await send(more), 400, 'unknown_field', JSON.stringify(more))
  const refused = await send({ type: 'system' })
  isProblem(t, refused, 400, 'invalid_request', 'another name is held to the same contract')
  t.equal(refused.body.errors[0].path, '/content_type', 'which names its own field')
  isProblem(t, await send({ fileIds: ['x'] }), 400, 'invalid_request')
  isProblem(t, await asAda.get(`/conversations?project_id=${randomUUID()}&projectId=${randomUUID()}`), 400, 'unknown_field')
  isProblem(t, await asAda.get(`/conversations?projectId=${randomUUID()}&projectId=${randomUUID()}`), 400, 'invalid_request')
  isProblem(t, await asAda.get('/conversations?type=text'), 400, 'invalid_request', 'the type of conversations')
  isProblem(t, await asAda.post('/conversations', [{ participantIds: [] }]), 400, 'invalid_request')
  t.same((await send({ metadata: { fileIds: [1], type: 'x' } })).body.metadata, { fileIds: [1], type: 'x' }, 'what is inside a field stays')
  const socket = await platform.connect(t, ada)
  t.match(await socket.ask({ type: 'mark_read', conversation_id: id, conversationId: id }), { type: 'error', code: 'unknown_field' })
  t.match(await socket.ask({ type: 'mark_read', conversationId: 'x' }), { type: 'error', ws_code: 4003 })
})

t.test('no path of a source design answers without a token where its canonical one does not', async t => {
  const id = await group(platform, ada, ben)
  const anyone = client(url)
  for (const [method, path] of [
    ['GET', '/api/me'],
    ['GET', '/api/messaging/me'],
    ['GET', '/api/conversations'],
    ['GET', '/api/v1/messages/conversations'],
    ['GET', `/api/v1/messages/conversations/${id}`],
    ['HEAD', `/api/v1/messages/conversations/${id}`],
    ['PATCH', `/api/v1/messages/conversations/${id}/read`],
    ['GET', `/api/messages/conversations/${id}`],
    ['GET', `/api/conversations/${id}/messages`],
    ['POST', `/api/messaging/conversations/${id}/read`],
    ['POST', '/api/ws/ticket']
  ] as const) {
    const answer = await anyone.ask(method, path)
    if (method === 'HEAD') t.equal(answer.status, 401, path)
    else isProblem(t, answer, 401, 'unauthenticated', `${method} ${path}`)
  }
})

t.test('paths that a hostile caller would try lead nowhere, with a token and without', async t => {
  const token = platform.token(ada)
  const ask = async (target: string, authorization: string) => {
    const { statuses, text } = await exchange(
      url,
      [`GET ${target} HTTP/1.1\r\nhost: ${new URL(url).host}\r\n${authorization}connection: close\r\n\r\n`],
      { forMs: 2_000 }
    )
    return { status: statuses[0], text }
  }
  for (const target of [
    '/api',
    '/api/',
    '/api/nothing',
    '/api/v2/me',
    '/api/v1/v1/me',
    '/api/messaging/v1/me',
    '/api/messaging',
    '/api/messaging/',
    '/api/messaging/messaging/me',
    '/api/messaging/admin/messaging/conversations',
    '/api//me',
    '//api/me',
    '/api/./me',
    '/api/../api/v1/me',
    '/api/x/../me',
    '/api/messaging/../me',
    '/api/messaging/..%2fme',
    '/api/%2e%2e/health/live',
    '/api/conversations/../../health/live',
    '/api/ws/health/',
    '/api/ws/health/x',
    '/api/ws%2fhealth',
    '/api/conversations/health%00',
    '/api/conversations/health/messages/x',
    '/api/me/',
    '/api/me;x=1',
    '/api/me#/api/ws/health',
    '/api/me%3F',
    '/API/me',
    '/api/v1/messages/conversations/',
    '/api/v1/messages//conversations',
    '/api/v1/messages/conversations/../../me',
    'http://elsewhere.example/api/me'
  ]) {
    for (const authorization of ['', `authorization: Bearer ${token}\r\n`]) {
      const { status, text } = await ask(target, authorization)
      t.ok(status !== undefined && [400, 401, 404].includes(status), `${target} answers ${status}`)
      t.notMatch(text, new RegExp(`${ada.id}|"status":"live"|"organization"`), `${target} tells nothing`)
    }
  }
  for (const target of ['/api/nothing', '/api/messaging/nothing/x?token=secret']) {
    const { text } = await ask(target, '')
    t.match(text, `there is nothing at GET ${target.split('?')[0]}"`, 'a path is named as it was given, without its query')
  }
  t.equal((await ask('/api/me', `authorization: Bearer ${token}\r\n`)).status, 200)
  t.equal((await ask('/api/%76%31/me', `authorization: Bearer ${token}\r\n`)).status, 200, 'an encoded letter is the letter, as before')
  t.equal((await ask('/api/%76%31/me', '')).status, 401)
  t.equal((await ask('/api/me?/api/ws/health', '')).status, 401, 'a query is no path')
})
