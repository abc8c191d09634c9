import { colleagues, failOnLeftovers, Ledger, type Person, startPlatform } from '@parley/test-kit'
import t from 'tap'
import { group, known } from './expect.ts'

failOnLeftovers(t)
const platform = await startPlatform(t, { gateways: 2 })

const rest = (who: Person) => platform.client(who)
const say = async (who: Person, conversation_id: string, content: string) =>
  (await rest(who).post(`/conversations/${conversation_id}/messages`, { content })).body

t.test('what happens to a message that was said while somebody was away is not told on their sockets, and leaves no hole', async t => {
  const [ada, ben, cleo] = colleagues('Ada', 'Ben', 'Cleo')
  const id = await group(platform, ada, ben)
  await known(platform, cleo)
  const secret = await say(ada, id, 'before Cleo')
  const other = await say(ada, id, 'before Cleo as well')

  // One socket is there when she comes, one connects later.
  const sockets = [await platform.connect(t, cleo)]
  t.equal((await rest(ada).post(`/conversations/${id}/participants`, { user_id: cleo.id })).status, 201)
  await sockets[0]!.next('conversation_added')
  sockets.push(await platform.connect(t, cleo, { gateway: 1 }))
  const witness = await platform.connect(t, ben)

  t.equal((await rest(ada).patch(`/messages/${secret.id}`, { content: 'needle one' })).status, 200)
  t.equal((await rest(ada).delete(`/messages/${other.id}`)).status, 200)
  const shared = await say(ada, id, 'with Cleo')
  t.equal((await rest(ada).patch(`/messages/${shared.id}`, { content: 'still with Cleo' })).status, 200)
  t.equal((await rest(ada).patch(`/messages/${secret.id}`, { content: 'needle two' })).status, 200)
  const last = await say(ada, id, 'the end')

  await witness.next(({ type, message }) => type === 'message_updated' && message.content === 'needle two')
  for (const socket of sockets) {
    await socket.next(({ type, message }) => type === 'new_message' && message.id === last.id)
    t.notMatch(JSON.stringify(socket.frames), /needle|before Cleo/)
    t.ok(socket.frames.some(({ type, message }) => type === 'message_updated' && message.content === 'still with Cleo'))
    t.same(
      socket.frames.filter(({ type }) => type === 'sync').map(({ messages }) => messages),
      [[], [], []],
      'what is passed over'
    )
    const ledger = new Ledger()
    for (const frame of socket.frames) ledger.take(frame)
    t.same(ledger.faults, [])
  }
})
