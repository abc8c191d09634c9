import { setTimeout as delay } from 'node:timers/promises'
import { failOnLeftovers, startPlatform, startTestPostgres, until } from '@parley/test-kit'
import t from 'tap'
import { isWhole } from '../src/history.ts'
import { startLoad } from '../src/load.ts'

failOnLeftovers(t)

t.test('while PostgreSQL is killed or frozen sends answer 503 within two seconds, and it recovers by itself', async t => {
  const postgres = await startTestPostgres(t)
  const platform = await startPlatform(t, { gateways: 2, stores: 1, postgres })
  const load = await startLoad(t, platform)
  const [ada] = load.people
  const send = async () => {
    const since = Date.now()
    const answer = await platform
      .client(ada!)
      .post(`/conversations/${load.conversation_id}/messages`, { content: `${since}`, client_message_id: 'x'.repeat(65) })
    return { ...answer, ms: Date.now() - since }
  }
  t.equal((await send()).status, 400, 'this one is never taken')
  for (const how of ['crash', 'freeze', 'crash'] as const) {
    await load.more(20)
    await postgres[how]()
    for (let n = 0; n < 3; n++) {
      const since = Date.now()
      const answer = await platform.client(ada!, n % 2).get(`/conversations/${load.conversation_id}/messages`)
      t.match(answer, { status: 503, body: { code: 'unavailable' } }, `${how}: a history`)
      t.ok(Date.now() - since < 3_000, `${how}: after ${Date.now() - since} ms`)
    }
    const before = load.history.acked.size
    await delay(1_000)
    t.equal(load.history.acked.size, before, `${how}: nothing is acknowledged meanwhile`)
    if (how === 'crash') await postgres.start()
    else await postgres.thaw()
  }
  await load.more(20)
  await load.stop()

  t.ok(
    load.readers.every(({ closes }) => closes.length === 0),
    'sockets were not closed'
  )
  await isWhole(t, platform, load.conversation_id, load.history, load.readers)
  await until(async () => (await platform.client(ada!).get('/health/ready')).status === 200)
})
