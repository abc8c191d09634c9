import { colleagues, failOnLeftovers, startPlatform } from '@parley/test-kit'
import t from 'tap'
import { group, isProblem, known } from './expect.ts'

failOnLeftovers(t)
const platform = await startPlatform(t)
const [ada, ben] = colleagues('Ada', 'Ben')
await known(platform, ada, ben)
const asAda = platform.client(ada)
const asBen = platform.client(ben)

t.test('an id in capitals is the same id in every call and frame, and is told in small letters', async t => {
  const id = await group(platform, ada, ben)
  const large = id.toUpperCase()
  const { body: message } = await asAda.post(`/conversations/${large}/messages`, { content: 'hello' })
  const socket = await platform.connect(t, ada)

  t.match((await asAda.get(`/conversations/${large}`)).body, { id, last_seq: 1 })
  t.match((await asAda.get(`/conversations/${large}/changes?since=0`)).body, { conversation_id: id, messages: [{ id: message.id }] })
  t.match((await asAda.get(`/conversations/${large}/messages`)).body, { conversation_id: id, total: 1 })
  t.equal((await asBen.post(`/conversations/${large}/read`, { message_id: message.id.toUpperCase() })).body.marked_read, 1)
  t.match(await socket.next('message_read'), { conversation_id: id, user_id: ben.id, message_id: message.id }, 'everyone is told')
  t.match(await socket.ask({ type: 'mark_read', conversation_id: large }), { conversation_id: id })
  t.match(await socket.ask({ type: 'join', conversation_id: large }), { conversation_id: id })
  t.match((await asAda.delete(`/conversations/${large}/messages/${message.id.toUpperCase()}`)).body, { id: message.id })
})

t.test('a time is taken as any zone writes it, and one that there is not is refused', async t => {
  const id = await group(platform, ada, ben)
  await asAda.post(`/conversations/${id}/messages`, { content: 'hello' })
  const mute = (muted_until: string) => asAda.patch(`/conversations/${id}/membership`, { muted_until })
  const history = (before: string) => asAda.get(`/conversations/${id}/messages?before=${encodeURIComponent(before)}`)
  const search = (from: string) => asAda.get(`/search?q=hello&from=${encodeURIComponent(from)}`)

  t.equal((await mute('2100-01-01T10:00:00+23:59')).body.muted_until, '2099-12-31T10:01:00.000Z')
  t.equal((await mute('2100-01-01t10:00:00.1234567z')).body.muted_until, '2100-01-01T10:00:00.123Z')
  for (const time of ['2100-01-01T10:00:00-23:59', '0001-01-01T00:00:00Z', '9999-12-31T23:59:59Z']) {
    t.equal((await search(time)).status, 200, time)
    t.equal((await history(time)).status, 200, time)
  }
  for (const time of ['2026-02-30T00:00:00Z', '0000-01-01T00:00:00Z', '9999-12-31T23:59:59-01:00']) {
    isProblem(t, await mute(time), 400, 'invalid_request', time)
    isProblem(t, await search(time), 400, 'invalid_request', time)
  }
  isProblem(t, await history('0000-01-01T00:00:00Z'), 400, 'invalid_cursor')
})
