import { failOnLeftovers, startPlatform, until } from '@parley/test-kit'
import t from 'tap'
import { isWhole } from '../src/history.ts'
import { startLoad } from '../src/load.ts'

failOnLeftovers(t)

t.test('without Redis messages flow, sockets open by their tokens, and tickets answer 503 until it is back', async t => {
  const platform = await startPlatform(t, { gateways: 2 })
  const load = await startLoad(t, platform)
  const [ada] = load.people
  await load.more(10)
  const { body } = await platform.client(ada!).post('/ws/ticket')

  for (const how of ['crash', 'freeze'] as const) {
    await platform.redis[how]()
    const retries = load.history.retries
    const ticket = await platform.client(ada!).post('/ws/ticket')
    t.match(ticket, { status: 503, body: { code: 'unavailable' } }, how)
    t.ok(ticket.headers.get('retry-after'))
    await load.more(30)
    t.equal(load.history.retries, retries, `${how}: no send was refused`)
    const byTicket = await platform
      .connect(t, ada!, { how: 'none', path: `/api/v1/ws?ticket=${body.ticket}` })
      .catch(error => error.message)
    t.match(byTicket, /1013/, `${how}: a ticket cannot be checked now`)
    const socket = await platform.connect(t, ada!, { gateway: 1 })
    t.equal(
      (await socket.ask({ type: 'send_message', conversation_id: load.conversation_id, content: how, client_message_id: how })).type,
      'ack'
    )
    load.history.begun.set(how, how)
    t.match(await platform.client(ada!).get('/health/ready'), {
      status: 200,
      body: { status: 'degraded', dependencies: { redis: 'down' } }
    })
    if (how === 'crash') await platform.redis.start()
    else await platform.redis.thaw()
    await until(async () => (await platform.client(ada!).post('/ws/ticket')).status === 200, { what: 'tickets are had again' })
  }
  await load.stop()

  await isWhole(t, platform, load.conversation_id, load.history, load.readers)
})
