import { randomUUID } from 'node:crypto'
import { ROUTES, SCHEDULED_MAX } from '@parley/contracts'
import { client, colleagues, failOnLeftovers, type Person, person, startPlatform, until } from '@parley/test-kit'
import t from 'tap'
import { fits, group, isProblem, known } from './expect.ts'

failOnLeftovers(t)
const platform = await startPlatform(t)
const as = platform.client
const [ada, ben, cleo] = colleagues('Ada', 'Ben', 'Cleo')
const stranger = person({ name: 'Stranger' })
await known(platform, ada, ben, cleo, stranger)

const HOUR_MS = 3_600_000
const soon = (inMs = HOUR_MS): string => new Date(Date.now() + inMs).toISOString()
const schedule = (who: Person, id: string, more: object = {}, headers?: Record<string, string>) =>
  as(who).post(`/conversations/${id}/messages`, { content: 'later', send_at: soon(), ...more }, headers)
const listed = async (who: Person): Promise<{ id: string }[]> => (await as(who).get('/scheduled')).body.messages

t.test('a scheduled message is answered, listed and read by its author, and reaches everyone at its time with its id', async t => {
  const id = await group(platform, ada, ben)
  const [mine, his] = [await platform.connect(t, ada), await platform.connect(t, ben)]
  const client_message_id = randomUUID()
  const send_at = soon(1_500)
  const answer = await schedule(ada, id, { send_at, client_message_id, metadata: { mood: 'patient' } })
  fits(t, answer, 202, ROUTES.sendMessage.replies[202])
  t.match(answer.body, {
    conversation_id: id,
    seq: null,
    status: 'scheduled',
    send_at,
    client_message_id,
    sender_id: ada.id,
    is_mine: true
  })
  const list = await as(ada).get('/scheduled')
  fits(t, list, 200, ROUTES.listScheduled.replies[200])
  t.same(list.body.messages, [answer.body])
  const one = await as(ada).get(`/scheduled/${answer.body.id}`)
  fits(t, one, 200, ROUTES.getScheduled.replies[200])
  t.same(one.body, answer.body)
  t.equal((await as(ben).get(`/conversations/${id}/messages`)).body.total, 0, 'nobody has it yet')

  for (const socket of [mine, his]) {
    t.match(await socket.next('new_message'), {
      message: { id: answer.body.id, seq: 1, content: 'later', client_message_id, metadata: { mood: 'patient' } }
    })
  }
  t.same(await listed(ada), [])
  isProblem(t, await as(ada).get(`/scheduled/${answer.body.id}`), 404, 'message_not_found', 'what is sent')
  isProblem(t, await as(ada).delete(`/scheduled/${answer.body.id}`), 404, 'message_not_found', 'cancelling what is sent')
  t.match((await as(ben).get(`/messages/${answer.body.id}`)).body, { content: 'later', sender_id: ada.id })
})

t.test('a message to a person may be scheduled as well', async t => {
  const answer = await as(ada).post('/messages', { recipient_id: cleo.id, content: 'for you', send_at: soon(800) })
  fits(t, answer, 202, ROUTES.sendToPerson.replies[202])
  await until(async () => (await as(cleo).get(`/conversations/${answer.body.conversation_id}/messages`)).body.total === 1)
})

t.test('its author changes what it says and when it is sent, and cancels it, as often as they like', async t => {
  const id = await group(platform, ada, ben)
  const { body } = await schedule(ada, id)
  const path = `/scheduled/${body.id}`
  const changed = await as(ada).patch(path, { content: ' much later ' })
  fits(t, changed, 200, ROUTES.changeScheduled.replies[200])
  t.match(changed.body, { id: body.id, content: 'much later', send_at: body.send_at })
  const send_at = soon(2 * HOUR_MS)
  t.match((await as(ada).patch(path, { send_at })).body, { content: 'much later', send_at })
  t.match((await as(ada).patch(path, {})).body, { content: 'much later', send_at })
  isProblem(t, await as(ada).patch(path, { send_at: soon(-1) }), 400, 'invalid_request', 'the past')
  isProblem(t, await as(ada).patch(path, { content: '  ' }), 400, 'content_empty')
  isProblem(t, await as(ada).patch(path, { metadata: {} }), 400, 'unknown_field')

  for (const who of [ben, stranger]) {
    isProblem(t, await as(who).get(path), 404, 'message_not_found', who.name)
    isProblem(t, await as(who).patch(path, { content: 'mine' }), 404, 'message_not_found', who.name)
    isProblem(t, await as(who).delete(path), 404, 'message_not_found', who.name)
    t.same(await listed(who), [], who.name)
  }
  for (const method of ['GET', 'PATCH', 'DELETE']) {
    const body = method === 'PATCH' ? {} : undefined
    isProblem(t, await client(platform.urls[0]!).ask(method, path, body), 401, 'unauthenticated', method)
    isProblem(t, await as(ada).ask(method, '/scheduled/soon', body), 400, 'invalid_id', method)
    isProblem(t, await as(ada).ask(method, `/scheduled/${randomUUID()}`, body), 404, 'message_not_found', method)
  }

  t.equal((await as(ada).delete(path)).status, 204)
  t.equal((await as(ada).delete(path)).status, 204, 'a second time answers like the first')
  isProblem(t, await as(ada).get(path), 404, 'message_not_found')
  isProblem(t, await as(ada).patch(path, { send_at: soon() }), 404, 'message_not_found', 'what is cancelled')
  t.same(await listed(ada), [])
})

t.test('a time that is past, too far or none at all is refused, and so is who may not write there', async t => {
  const id = await group(platform, ada, ben)
  for (const send_at of [soon(-1), '1970-01-01T00:00:00Z', soon(367 * 24 * HOUR_MS), '9999-12-31T23:59:59Z', 'tomorrow', 0, null, '']) {
    const refused = await schedule(ada, id, { send_at })
    isProblem(t, refused, 400, 'invalid_request', `${send_at}`)
    t.match(refused.body, { errors: [{ path: '/send_at' }] }, `${send_at}`)
  }
  isProblem(t, await schedule(ada, id, { content: ' ' }), 400, 'content_empty')
  isProblem(t, await schedule(ada, id, { content: 'x'.repeat(5_001) }), 400, 'content_too_long')
  isProblem(t, await schedule(ada, id, { reply_to_id: randomUUID() }), 400, 'invalid_reply')
  isProblem(t, await schedule(ada, id, { status: 'failed' }), 400, 'unknown_field')
  isProblem(t, await schedule(cleo, id), 403, 'not_a_participant')
  isProblem(t, await schedule(stranger, id), 404, 'conversation_not_found')
  isProblem(t, await schedule(ada, randomUUID()), 404, 'conversation_not_found')
  await as(ada).patch(`/conversations/${id}`, { status: 'locked' })
  isProblem(t, await schedule(ben, id), 403, 'conversation_locked')
  t.same([await listed(ada), await listed(ben)], [[], []])
})

t.test('scheduling again with the same key gives what stands, and other content is refused', async t => {
  const id = await group(platform, ada, ben)
  const key = randomUUID()
  const first = await schedule(ada, id, { client_message_id: key })
  const again = await schedule(ada, id, {}, { 'idempotency-key': key })
  fits(t, again, 200, ROUTES.sendMessage.replies[200])
  t.same(again.body, { ...first.body, duplicate: true })
  isProblem(t, await schedule(ada, id, { client_message_id: key, content: 'other' }), 409, 'idempotency_mismatch')
  await as(ada).delete(`/scheduled/${first.body.id}`)
})

t.test('a socket sends at once or not at all: it has no send_at', async t => {
  const id = await group(platform, ada, ben)
  const socket = await platform.connect(t, ada)
  t.match(await socket.ask({ type: 'send_message', conversation_id: id, content: 'x', send_at: soon() }), {
    type: 'error',
    code: 'unknown_field'
  })
  t.same(await listed(ada), [])
})

t.test('a hundred may be scheduled and no more, also at once', async t => {
  const id = await group(platform, cleo, ben)
  const atOnce = (count: number) => Promise.all(Array.from({ length: count }, () => schedule(cleo, id)))
  for (let n = 10; n < SCHEDULED_MAX; n += 10) await atOnce(10)
  const last = await atOnce(13)
  t.same(
    Object.entries(Object.groupBy(last, ({ status }) => status)).map(([status, some]) => [status, some?.length]),
    [
      ['202', 10],
      ['409', 3]
    ]
  )
  isProblem(t, last.find(({ status }) => status === 409)!, 409, 'scheduled_full')
  const messages = await listed(cleo)
  t.equal(messages.length, SCHEDULED_MAX)
  t.equal((await schedule(ben, id)).status, 202, 'each for themselves')
  await as(cleo).delete(`/scheduled/${messages[0]!.id}`)
  t.equal((await schedule(cleo, id)).status, 202)
})
