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
