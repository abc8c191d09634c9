import { randomUUID } from 'node:crypto'
import { colleagues, failOnLeftovers, type Socket, startPlatform, until } from '@parley/test-kit'
import t from 'tap'
import { group } from './expect.ts'

failOnLeftovers(t)
const platform = await startPlatform(t, { gateways: 2, stores: 2 })

const reads = ({ frames }: Socket, user_id: string) => frames.filter(frame => frame.type === 'message_read' && frame.user_id === user_id)

t.test('fifty positions of one reader are at most one frame a second for each who hears of them, and the last one arrives', async t => {
  const [ada, ben] = colleagues('Ada', 'Ben')
  const conversation_id = await group(platform, ada, ben)
  const writer = await platform.connect(t, ada)
  const far = await platform.connect(t, ada, { gateway: 1 })
  const COUNT = 50
  for (let n = 0; n < COUNT; n++) writer.send({ type: 'send_message', conversation_id, content: `${n}` })
  const reader = await platform.connect(t, ben)
  await until(() => writer.frames.filter(({ type }) => type === 'ack').length === COUNT)

  const since = Date.now()
  for (let seq = 1; seq <= COUNT; seq++) {
    const { type, code } = await reader.ask({ type: 'mark_read', conversation_id, seq }, 20_000)
    if (type !== 'ack') t.fail(`refused with ${code}`)
  }
  for (const socket of [writer, far]) {
    await until(() => reads(socket, ben.id).some(({ seq }) => seq === COUNT), { what: 'the last position comes' })
    const positions = reads(socket, ben.id).map(({ seq }) => seq)
    const seconds = Math.ceil((Date.now() - since) / 1_000)
    t.ok(positions.length <= 1 + seconds, `${positions} in ${seconds} s`)
    t.same(
      positions,
      [...positions].sort((a, b) => a - b),
      'never back'
    )
  }
})

t.test('above a hundred people a position is told to those alone who have the conversation open', { timeout: 120_000 }, async t => {
  const [ada, ben, cleo] = colleagues('Ada', 'Ben', 'Cleo')
  const small = await group(platform, ada, ben, cleo)
  const large = await group(platform, ada, ben, cleo)
  await platform.database.query('update messaging.conversations set participant_count = 101 where id = $1', [large])
  const [viewer, other] = [await platform.connect(t, ada, { gateway: 1 }), await platform.connect(t, cleo, { gateway: 1 })]
  const reader = await platform.connect(t, ben)
  const readNew = async (conversation_id: string) => {
    const { body } = await platform.client(ada).post(`/conversations/${conversation_id}/messages`, { content: randomUUID() })
    t.match(await reader.ask({ type: 'mark_read', conversation_id, seq: body.seq }), { type: 'ack', last_read_seq: body.seq })
    return body.seq as number
  }
  t.match(await viewer.ask({ type: 'join', conversation_id: large }), { type: 'ack' })
  const seq = await readNew(large)
  t.match(await viewer.next('message_read'), { conversation_id: large, user_id: ben.id, seq })

  t.match(await viewer.ask({ type: 'leave', conversation_id: large }), { type: 'ack' })
  await readNew(large)
  await readNew(small)
  // What is told to all has overtaken nothing: it comes by the same way.
  for (const socket of [viewer, other]) t.match(await socket.next('message_read'), { conversation_id: small })
  t.equal(reads(other, ben.id).length, 1, 'who does not have it open was not told')
  t.equal(reads(viewer, ben.id).length, 2, 'nor who has closed it')
})
