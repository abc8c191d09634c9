import { randomUUID } from 'node:crypto'
import { ConversationMoment, ORIGIN_HEADER, STREAMS, UserMoment } from '@parley/contracts'
import { failOnLeftovers, until } from '@parley/test-kit'
import t from 'tap'
import { ensureStreams } from '../src/index.ts'
import { setup } from './setup.ts'

failOnLeftovers(t)

t.test('whoever has flushed after a subscription misses none of 2,000 events that are published right then', async t => {
  const { join } = await setup(t)
  const [listener, speaker] = [await join('listener'), await join('speaker')]
  let received = 0
  await Promise.all(
    Array.from({ length: 200 }, async (_, n) => {
      const subject = `eph.conversations.${randomUUID()}`
      // Some come while a flush is on its way: one that began before them is not theirs.
      if (n % 3 === 0) await new Promise(resolve => setImmediate(resolve))
      listener.bus.subscribe(subject, () => received++)
      await listener.bus.flush()
      for (let event = 0; event < 10; event++) speaker.bus.connection.publish(subject, `${event}`)
    })
  )
  await speaker.bus.flush()
  await until(() => received === 2_000, { what: 'all of them arrive' }).finally(() => t.equal(received, 2_000))
})

t.test('a moment reaches who listens, with its origin where it has one', async t => {
  const { join } = await setup(t)
  const [listener, speaker] = [await join('listener'), await join('speaker')]
  const heard: { subject: string; body: object; origin: string | undefined }[] = []
  listener.bus.subscribe('eph.>', ({ subject, data, headers }) =>
    heard.push({ subject, body: JSON.parse(Buffer.from(data).toString()), origin: headers?.get(ORIGIN_HEADER) })
  )
  await listener.bus.flush()
  const [conversation_id, user_id, org_id] = [randomUUID(), randomUUID(), randomUUID()]

  speaker.bus.publish(ConversationMoment, { conversation_id }, { type: 'message_read', seq: 1 })
  speaker.bus.publish(UserMoment, { org_id, user_id }, { type: 'unread' }, { origin: 'connection-1' })

  await until(() => heard.length === 2)
  t.same(heard, [
    { subject: `eph.conversations.${conversation_id}`, body: { type: 'message_read', seq: 1 }, origin: undefined },
    { subject: UserMoment.subject({ org_id, user_id }), body: { type: 'unread' }, origin: 'connection-1' }
  ])
})

t.test('a message that a listener cannot take costs nobody the connection, and the next one comes', async t => {
  const { join } = await setup(t)
  const [listener, speaker] = [await join('listener'), await join('speaker')]
  const heard: number[] = []
  let reconnects = 0
  listener.bus.onReconnect(() => reconnects++)
  listener.bus.subscribe('eph.>', ({ data }) => heard.push(JSON.parse(Buffer.from(data).toString()).seq))
  await listener.bus.flush()
  const subject = ConversationMoment.subject({ conversation_id: randomUUID() })

  for (const payload of ['{"seq":1}', 'no JSON', '', 'null', '{"seq":2}']) speaker.bus.connection.publish(subject, payload)
  await speaker.bus.flush()

  await until(() => heard.length === 2, { what: 'those that can be taken arrive' })
  t.same(heard, [1, 2])
  await listener.bus.flush()
  t.equal(reconnects, 0)
  t.ok(listener.bus.isConnected)
})

t.test('streams are made once however many make them, again without harm, and as they are declared', async t => {
  const { join } = await setup(t)
  const [one, two] = [await join('one'), await join('two')]
  await Promise.all([ensureStreams(one.bus.connection), ensureStreams(two.bus.connection), ensureStreams(one.bus.connection)])
  const js = one.bus.connection.jetstream()
  const { seq } = await js.publish(STREAMS[0].subjects[0], 'kept')

  await ensureStreams(two.bus.connection)

  const manager = await one.bus.connection.jetstreamManager()
  for (const { name, subjects, maxAgeHours, maxBytes } of STREAMS) {
    const { config, state } = await manager.streams.info(name)
    t.same(config.subjects, subjects)
    t.equal(config.max_age, maxAgeHours * 3_600 * 1e9)
    t.equal(config.max_bytes, maxBytes)
    t.equal(config.storage, 'file')
    t.equal(state.last_seq, seq, 'what was in it stays')
  }
})

t.test('a stream of another making is brought to its declaration', async t => {
  const { join } = await setup(t)
  const { bus } = await join('one')
  const manager = await bus.connection.jetstreamManager()
  const [{ name, subjects, maxAgeHours }] = STREAMS
  await manager.streams.add({ name, subjects: ['evt.old'], max_age: 1e9 })

  await ensureStreams(bus.connection)

  t.match((await manager.streams.info(name)).config, { subjects: [...subjects], max_age: maxAgeHours * 3_600 * 1e9 })
})
