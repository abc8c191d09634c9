import { setTimeout as delay } from 'node:timers/promises'
import { colleagues, failOnLeftovers, startPlatform } from '@parley/test-kit'
import t from 'tap'
import { group, isProblem } from './expect.ts'

failOnLeftovers(t)
const platform = await startPlatform(t, { env: { EDIT_WINDOW_SECONDS: '2' } })
const [ada, ben] = colleagues('Ada', 'Ben')

t.test('a message is edited while its window is open, and refused after; deleted it may be at any time', async t => {
  const id = await group(platform, ada, ben)
  const { body } = await platform.client(ada).post(`/conversations/${id}/messages`, { content: 'helo' })
  t.equal((await platform.client(ada).patch(`/messages/${body.id}`, { content: 'hello' })).status, 200)
  // The window itself is what is waited for.
  await delay(2_100)
  isProblem(t, await platform.client(ada).patch(`/messages/${body.id}`, { content: 'hullo' }), 403, 'edit_window_passed')
  const socket = await platform.connect(t, ada)
  t.match(await socket.ask({ type: 'edit_message', message_id: body.id, content: 'hullo' }), { type: 'error', code: 'edit_window_passed' })
  t.equal((await platform.client(ada).get(`/messages/${body.id}`)).body.content, 'hello')
  t.equal((await platform.client(ada).delete(`/messages/${body.id}`)).status, 200)
})
