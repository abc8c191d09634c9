import { randomUUID } from 'node:crypto'
import { ROUTES } from '@parley/contracts'
import { colleagues, failOnLeftovers, type Person, person, startPlatform } from '@parley/test-kit'
import t from 'tap'
import { fits, group, isProblem, known } from './expect.ts'

failOnLeftovers(t)
const platform = await startPlatform(t)
const as = platform.client
const [ada, ben, cleo, dan] = colleagues('Ada', 'Ben', 'Cleo', 'Dan')
const stranger = person({ name: 'Stranger' })
await known(platform, ada, ben, cleo, dan, stranger)
const say = (who: Person, id: string, content: string, more = {}) => as(who).post(`/conversations/${id}/messages`, { content, ...more })
const counts = async (who: Person, id: string) => {
  const { unread_count, mention_count } = (await as(who).get(`/conversations/${id}`)).body
  return [unread_count, mention_count]
}

t.test('who is called by name is named on the message, in the event, and counted until they have read it', async t => {
  const id = await group(platform, ada, ben, cleo)
  const socket = await platform.connect(t, cleo)
  const sent = await say(ada, id, `@${ben.username} and @${dan.username}, look`)
  fits(t, sent, 201, ROUTES.sendMessage.replies[201])
  t.match(sent.body, { mentions: [ben.id], mention_all: false }, 'who is not in it is not called')
  t.match(await socket.next('new_message'), { message: { mentions: [ben.id], mention_all: false } })
  t.same((await as(cleo).get(`/conversations/${id}/messages`)).body.messages[0].mentions, [ben.id])
  t.same(
    [await counts(ben, id), await counts(cleo, id)],
    [
      [1, 1],
      [1, 0]
    ]
  )
  t.match((await as(ben).get('/unread')).body, { total: 1, mention_total: 1, conversations: [{ conversation_id: id, mention_count: 1 }] })
  await as(ben).patch(`/conversations/${id}/read`, {})
  t.same(await counts(ben, id), [0, 0])
  t.match(await (await platform.connect(t, ada)).ask({ type: 'send_message', conversation_id: id, content: `@${ben.username}` }), {
    type: 'ack',
    message: { mentions: [ben.id] }
  })
})

t.test('everyone but the sender is called by @all, once where they are named as well', async t => {
  const id = await group(platform, ada, ben, cleo)
  t.match((await say(ben, id, `@all, and @${cleo.username} above all`)).body, { mention_all: true, mentions: [cleo.id] })
  t.same(
    [await counts(ada, id), await counts(ben, id), await counts(cleo, id)],
    [
      [1, 1],
      [0, 0],
      [1, 1]
    ]
  )
})

t.test('above a hundred people @all is for owners and admins, and a mere word from anyone else', async t => {
  const crowd = colleagues(...Array.from({ length: 102 }, (_, n) => `Person ${n}`))
  const id = await group(platform, ...crowd)
  t.match((await say(crowd[1]!, id, '@all hear me')).body, { mention_all: false, content: '@all hear me' })
  t.match((await say(crowd[0]!, id, '@all hear me')).body, { mention_all: true })
  t.same(await counts(crowd[2]!, id), [2, 1])
  t.notOk((await as(crowd[1]!).get(`/conversations/${id}`)).body.my.capabilities.includes('mention_all'))
  const both = await Promise.all([say(crowd[1]!, id, '@all'), say(crowd[0]!, id, '@all')])
  t.same(
    both.map(({ body }) => body.mention_all),
    [false, true],
    'in one batch each is judged for itself'
  )
})

t.test('an edit calls anew, and what is deleted calls nobody', async t => {
  const id = await group(platform, ada, ben, cleo)
  const { body } = await say(ada, id, `@${ben.username}`)
  t.match((await as(ada).patch(`/messages/${body.id}`, { content: `@${cleo.username} @all` })).body, {
    mentions: [cleo.id],
    mention_all: true
  })
  t.same(
    [await counts(ben, id), await counts(cleo, id)],
    [
      [1, 1],
      [1, 1]
    ]
  )
  await as(ada).patch(`/messages/${body.id}`, { content: `@${cleo.username}` })
  t.same(
    [await counts(ben, id), await counts(cleo, id)],
    [
      [1, 0],
      [1, 1]
    ]
  )
  await as(ada).delete(`/messages/${body.id}`)
  t.match((await as(ben).get(`/messages/${body.id}`)).body, { mentions: [], mention_all: false })
  t.same(
    [await counts(ben, id), await counts(cleo, id)],
    [
      [0, 0],
      [0, 0]
    ]
  )
})

t.test('a message is forwarded as its sender said it, with where it came from, once a client_message_id', async t => {
  const [from, to] = [await group(platform, ada, ben), await group(platform, ben, cleo)]
  const { body: source } = await say(ada, from, 'the map is in the drawer')
  const client_message_id = randomUUID()
  const forwarded = await as(ben).post(`/messages/${source.id}/forward`, { conversation_id: to, client_message_id })
  fits(t, forwarded, 201, ROUTES.forward.replies[201])
  t.match(forwarded.body, {
    conversation_id: to,
    content: source.content,
    sender_id: ben.id,
    forwarded_from: source.id,
    seq: 1,
    is_mine: true
  })
  const again = await as(ben).post(`/messages/${source.id}/forward`, { conversation_id: to, client_message_id })
  fits(t, again, 200, ROUTES.forward.replies[200])
  t.match(again.body, { id: forwarded.body.id, duplicate: true, is_mine: true, is_read: false, read_by: [] })
  await as(cleo).post(`/conversations/${to}/read`)
  const read = await as(ben).post(`/messages/${source.id}/forward`, { conversation_id: to, client_message_id })
  t.same(read.body, { ...again.body, is_read: true, read_by: [cleo.id] }, 'as it stands now')
  t.match((await as(cleo).get(`/conversations/${to}/messages`)).body.messages, [{ forwarded_from: source.id }])
  t.match((await as(ben).post(`/messages/${forwarded.body.id}/forward`, { conversation_id: from })).body, { forwarded_from: source.id })
})

t.test('what one may not see is not forwarded, nor into where one may not write', async t => {
  const [from, to, other] = [await group(platform, ada, ben), await group(platform, ben, cleo), await group(platform, ada, cleo)]
  const { body: source } = await say(ada, from, 'hello')
  const forward = (who: Person, message: string, conversation_id: string) =>
    as(who).post(`/messages/${message}/forward`, { conversation_id })
  isProblem(t, await forward(cleo, source.id, to), 403, 'not_a_participant')
  isProblem(t, await forward(stranger, source.id, to), 404, 'message_not_found')
  isProblem(t, await forward(ben, source.id, other), 403, 'not_a_participant')
  isProblem(t, await forward(ben, source.id, randomUUID()), 404, 'conversation_not_found')
  isProblem(t, await forward(ben, randomUUID(), to), 404, 'message_not_found')
  await as(ben).patch(`/conversations/${to}`, { status: 'locked' })
  isProblem(t, await forward(ben, source.id, to), 403, 'conversation_locked')
  await as(ben).patch(`/conversations/${to}`, { status: 'active' })
  await as(ada).delete(`/messages/${source.id}`)
  isProblem(t, await forward(ben, source.id, to), 409, 'message_deleted')
})

t.test('between two of whom one has blocked the other nothing is sent, either way, and in groups everything', async t => {
  const { body: direct } = await as(ada).post(`/conversations/dm/${dan.id}`)
  const shared = await group(platform, ada, dan)
  t.equal((await say(ada, direct.id, 'before')).status, 201)
  t.equal((await as(dan).put(`/users/${ada.id}/block`)).status, 204)
  for (const who of [ada, dan]) {
    isProblem(t, await say(who, direct.id, 'after'), 403, 'blocked')
    isProblem(t, await as(who).post('/messages', { recipient_id: who === ada ? dan.id : ada.id, content: 'x' }), 403, 'blocked')
    const socket = await platform.connect(t, who)
    t.match(await socket.ask({ type: 'send_message', conversation_id: direct.id, content: 'x' }), { type: 'error', code: 'blocked' })
  }
  t.equal((await say(ada, shared, 'in a group')).status, 201)
  t.equal((await as(dan).get(`/conversations/${direct.id}/messages`)).status, 200, 'what was said stays')
  await as(dan).delete(`/users/${ada.id}/block`)
  t.equal((await say(ada, direct.id, 'again')).status, 201)
})
