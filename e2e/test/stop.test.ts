import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { type Client, client, colleagues, failOnLeftovers, type Platform, startPlatform, until } from '@parley/test-kit'
import t from 'tap'
import { isWhole } from '../src/history.ts'
import { startLoad } from '../src/load.ts'

failOnLeftovers(t)
const COUNT = 40

/** Holds every conversation for a second, so that what is sent stays in the hands of whoever has it. */
async function holdConversations(platform: Platform) {
  const isOver = platform.database.query(`do $$ begin perform from messaging.conversations for update; perform pg_sleep(1); end $$`)
  const count = (condition: string) =>
    platform.database.query(`select from pg_stat_activity where datname = current_database() and ${condition}`).then(({ length }) => length)
  await until(() => count("wait_event = 'PgSleep'"))
  return {
    isOver,
    /** Resolves once sends wait for it; what was asked before `mine` was answered has arrived by then. */
    async isFelt(mine: Client) {
      await until(() => count("wait_event_type = 'Lock'"))
      for (let n = 0; n < 3; n++) await mine.get('/me')
    }
  }
}

t.test('a message-store that is asked to stop with forty sends in hand answers all forty', async t => {
  const platform = await startPlatform(t)
  const [ada, ben] = colleagues('Ada', 'Ben')
  await Promise.all([platform.client(ada).get('/me'), platform.client(ben).get('/me')])
  const { body } = await platform.client(ada).post('/conversations', { type: 'group', participant_ids: [ben.id] })
  const mine = platform.client(ada)
  for (let round = 0; round < 2; round++) {
    const hold = await holdConversations(platform)
    const sends = Array.from({ length: COUNT }, () =>
      mine.post(`/conversations/${body.id}/messages`, { content: 'x', client_message_id: randomUUID() })
    )
    await hold.isFelt(mine)
    platform.stores[0]!.kill('SIGTERM')
    const answers = await Promise.all(sends)
    t.same(
      answers.map(({ status }) => status),
      answers.map(() => 201),
      `round ${round}`
    )
    await hold.isOver
    t.same(await platform.stores[0]!.exited, { code: 0, signal: null })
    await platform.stores[0]!.start()
  }
  t.equal((await mine.get(`/conversations/${body.id}`)).body.last_seq, 2 * COUNT)
})

t.test('a gateway that is asked to stop tells its clients to come back, answers what is in hand and closes with 1012', async t => {
  const platform = await startPlatform(t)
  const [ada, ben] = colleagues('Ada', 'Ben')
  await Promise.all([platform.client(ada).get('/me'), platform.client(ben).get('/me')])
  const { body } = await platform.client(ada).post('/conversations', { type: 'group', participant_ids: [ben.id] })
  const sockets = await Promise.all([ada, ben, ada].map(who => platform.connect(t, who)))
  const [writer] = sockets
  const mine = client(platform.urls[0]!, platform.token(ada))

  const hold = await holdConversations(platform)
  for (let n = 0; n < COUNT; n++) writer!.send({ type: 'send_message', conversation_id: body.id, content: `${n}`, id: `s${n}` })
  const posts = Array.from({ length: COUNT }, (_, n) => mine.post(`/conversations/${body.id}/messages`, { content: `post ${n}` }))
  await hold.isFelt(mine)
  const standing = connect(Number(new URL(platform.urls[0]!).port), '127.0.0.1').setEncoding('utf8')
  t.teardown(() => standing.destroy())
  const ask = async () => {
    standing.write('GET /api/v1/config HTTP/1.1\r\nhost: localhost\r\n\r\n')
    const [answer] = await once(standing, 'data')
    return String(answer)
  }
  t.match(await ask(), /^HTTP\/1.1 200 /)
  platform.gateways[0]!.kill('SIGTERM')
  await writer!.next('reconnect')
  const late = setInterval(() => writer!.send({ type: 'ping', id: 'late' }), 20)
  void writer!.closed.then(() => clearInterval(late))
  t.match(await ask(), /^HTTP\/1.1 200 [\s\S]*connection: close/i, 'a connection that stands has its last answer')

  const answers = await Promise.all(posts)
  t.same(
    answers.map(({ status }) => status),
    answers.map(() => 201),
    'every request that was in hand is answered'
  )
  for (const socket of sockets) {
    t.same(await socket.closed, { code: 1012, reason: 'restart' })
    const [reconnect, ...more] = socket.frames.filter(({ type }) => type === 'reconnect')
    t.ok(reconnect!.delay_ms >= 0 && reconnect!.delay_ms <= 5_000, `in ${reconnect?.delay_ms} ms`)
    t.same(more, [])
  }
  const told = writer!.frames.filter(({ id }) => id?.startsWith('s'))
  t.equal(told.length, COUNT, 'every frame that was in hand is answered')
  t.ok(told.every(({ type }) => type === 'ack'))
  t.same(
    writer!.frames.filter(({ type }) => type === 'error'),
    [],
    'what comes too late is not refused: the close says that it was not taken'
  )
  await hold.isOver
  t.same(await platform.gateways[0]!.exited, { code: 0, signal: null })

  await platform.gateways[0]!.start()
  t.equal((await mine.get(`/conversations/${body.id}`)).body.last_seq, 2 * COUNT)
})

t.test(
  'gateways and stores that are restarted one after the other under load lose nothing, and every send is taken in the end',
  async t => {
    const platform = await startPlatform(t, { gateways: 2, stores: 2 })
    const load = await startLoad(t, platform)
    for (const process of [...platform.gateways, ...platform.stores]) {
      await load.more(15)
      t.same(await process.stop(), { code: 0, signal: null }, process.name)
      await load.more(15)
      await process.start()
    }
    await load.more(15)
    await load.stop()

    t.ok(load.readers.some(({ closes }) => closes.includes(1012)))
    await isWhole(t, platform, load.conversation_id, load.history, load.readers)
    await until(async () => (await platform.client(load.people[0]!).get('/health/ready')).status === 200)
  }
)
