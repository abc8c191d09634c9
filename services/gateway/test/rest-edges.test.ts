import { randomUUID } from 'node:crypto'
import { colleagues, failOnLeftovers, type Person, startPlatform } from '@parley/test-kit'
import t from 'tap'
import { group, isProblem, known } from './expect.ts'

failOnLeftovers(t)
const platform = await startPlatform(t)
const as = platform.client
const [ada, ben, cleo, dan] = colleagues('Ada', 'Ben', 'Cleo', 'Dan')
await known(platform, ada, ben, cleo, dan)
const say = (who: Person, id: string, content: string, more = {}) => as(who).post(`/conversations/${id}/messages`, { content, ...more })

t.test('what was sent before a conversation closed is sent again as what stands, and only what is new is refused', async t => {
  const id = await group(platform, ada, ben)
  const { body: question } = await say(ada, id, 'question')
  const first = { client_message_id: randomUUID(), reply_to_id: question.id }
  const { body: stands } = await say(ben, id, 'answer', first)
  const again = () => say(ben, id, 'answer', first)
  const isStanding = async (what: string) => t.match(await again(), { status: 200, body: { id: stands.id, duplicate: true } }, what)

  await as(ada).delete(`/messages/${question.id}`)
  await isStanding('what it replied to is gone')
  for (const status of ['locked', 'archived']) {
    await as(ada).patch(`/conversations/${id}`, { status })
    await isStanding(status)
    isProblem(t, await say(ben, id, 'other', first), 409, 'idempotency_mismatch')
    isProblem(t, await say(ben, id, 'new', { client_message_id: randomUUID() }), 403, `conversation_${status}`)
    isProblem(t, await say(ben, id, 'new'), 403, `conversation_${status}`)
  }
  const socket = await platform.connect(t, ben)
  t.match(await socket.ask({ type: 'send_message', conversation_id: id, content: 'answer', ...first }), { type: 'ack', duplicate: true })

  const toDan = { recipient_id: dan.id, content: 'hello', client_message_id: randomUUID() }
  const { body: direct } = await as(cleo).post('/messages', toDan)
  await as(dan).put(`/users/${cleo.id}/block`)
  t.match(await as(cleo).post('/messages', toDan), { status: 200, body: { id: direct.id, duplicate: true } }, 'blocked')
  await as(dan).delete(`/users/${cleo.id}/block`)
  t.equal((await as(ben).get(`/conversations/${id}`)).body.last_message.content, 'Ada archived the conversation', 'nothing was said twice')
})

t.test('a first message that is refused leaves no conversation behind', async t => {
  const [eva, finn] = colleagues('Eva', 'Finn')
  await known(platform, eva, finn)
  const write = (more: object) => as(eva).post('/messages', { recipient_id: finn.id, content: 'hello', ...more })
  const past = new Date(Date.now() - 60_000).toISOString()

  isProblem(t, await write({ content: ' ' }), 400, 'content_empty')
  isProblem(t, await write({ content: 'x'.repeat(5_001) }), 400, 'content_too_long')
  isProblem(t, await write({ reply_to_id: randomUUID() }), 400, 'invalid_reply')
  isProblem(t, await write({ client_message_id: ' x' }), 400, 'invalid_request')
  isProblem(t, await write({ metadata: { a: 'x'.repeat(9_000) } }), 400, 'invalid_request')
  isProblem(t, await write({ attachments: [randomUUID()] }), 404, 'attachment_not_found')
  isProblem(t, await write({ send_at: past }), 400, 'invalid_request')
  isProblem(
    t,
    await as(eva).post('/messages', { recipient_id: finn.id, content: 'x' }, { 'idempotency-key': 'k'.repeat(65) }),
    400,
    'invalid_request'
  )
  t.equal((await as(eva).get('/conversations')).body.pagination.total_items, 0)

  t.equal((await write({})).status, 201)
  t.equal((await as(finn).get('/conversations')).body.pagination.total_items, 1)
})

t.test('who may say nothing new does not change what they have said, nor is it a way round a block', async t => {
  const { body: message } = await as(ada).post('/messages', { recipient_id: cleo.id, content: 'hello' })
  await as(ada).put(`/messages/${message.id}/reactions/${encodeURIComponent('👍')}`)
  await as(cleo).put(`/users/${ada.id}/block`)
  const socket = await platform.connect(t, ada)
  for (const who of [ada, cleo]) {
    isProblem(t, await as(who).put(`/messages/${message.id}/reactions/${encodeURIComponent('🙃')}`), 403, 'blocked')
    isProblem(t, await as(who).put(`/messages/${message.id}/pin`), 403, 'blocked')
  }
  isProblem(t, await as(ada).patch(`/messages/${message.id}`, { content: 'insult' }), 403, 'blocked')
  t.match(await socket.ask({ type: 'edit_message', message_id: message.id, content: 'insult' }), { type: 'error', code: 'blocked' })
  const taken = await as(ada).delete(`/messages/${message.id}/reactions/${encodeURIComponent('👍')}`)
  t.same([taken.status, taken.body.content, taken.body.is_edited], [200, 'hello', false], 'a reaction may be taken back')
  t.equal((await as(ada).delete(`/messages/${message.id}`)).status, 200, 'and what was said')

  const news = { type: 'announcement', participant_ids: [ben.id] }
  const { id } = (await as(ada).post('/conversations', news)).body
  await as(ada).patch(`/conversations/${id}/participants/${ben.id}`, { role: 'admin' })
  const { body: told } = await say(ben, id, 'closed on Monday')
  await as(ada).patch(`/conversations/${id}/participants/${ben.id}`, { role: 'member' })
  isProblem(t, await as(ben).patch(`/messages/${told.id}`, { content: 'closed for ever' }), 403, 'read_only')
  t.equal((await as(ben).put(`/messages/${told.id}/reactions/${encodeURIComponent('👍')}`)).status, 200, 'readers react')
})

t.test('a refusal for what a field says names the field, over HTTP and on the socket', async t => {
  const id = await group(platform, ada, ben)
  const { body: message } = await say(ada, id, 'hello')
  const socket = await platform.connect(t, ada)
  const list = (query: string) => as(ada).get(`/conversations/${id}/messages?${query}`)
  const at = (...fields: string[]) => ({ errors: fields.map(field => ({ path: `/${field}`, message: /\S/ })) })

  for (const content of [' ', '\u200b', 'x'.repeat(5_001), 'x'.repeat(20_001)]) {
    t.match((await say(ada, id, content)).body, at('content'), `${content.length} characters`)
    t.match((await as(ada).patch(`/messages/${message.id}`, { content })).body, at('content'))
    t.match(await socket.ask({ type: 'send_message', conversation_id: id, content }), { type: 'error', ...at('content') })
  }
  t.match((await say(ada, id, 'x', { reply_to_id: randomUUID() })).body, { code: 'invalid_reply', ...at('reply_to_id') })
  t.match((await as(ada).put(`/messages/${message.id}/reactions/ok`)).body, { code: 'invalid_emoji', ...at('emoji') })
  t.match((await list('page=1&after=1')).body, { code: 'invalid_request', ...at('after', 'page') })
  t.match((await list('page=0')).body, at('page'))
  t.match((await list('before=x')).body, at('before'))
  t.match((await as(ada).patch(`/conversations/${id}/membership`, { draft: 'x'.repeat(5_001) })).body, at('draft'))
})
