import { randomUUID } from 'node:crypto'
import { ChangeLog } from '@parley/contracts'
import { ensureStreams } from '@parley/nats-kit'
import { DIES_AFTER_COMMIT, failOnLeftovers, freshDatabase, startStore, startTestNats, until } from '@parley/test-kit'
import t, { type Test } from 'tap'
import { openBus, openStore, setup, toSend, upTo, type World, worldOf } from './setup.ts'

failOnLeftovers(t)

const rows = ({ database }: World) => database.query<{ id: string; kind: string }>('select id, kind from messaging.outbox_batches')
const isEmpty = (world: World) => until(async () => (await rows(world)).length === 0, { timeoutMs: 15_000, what: 'the outbox is empty' })

/** A world in which no store runs, for those that start their own. */
async function withoutStores(t: Test): Promise<World & { open: () => ReturnType<typeof openStore> }> {
  const [database, nats] = await Promise.all([freshDatabase(t), startTestNats(t)])
  const world = worldOf(database, nats, [], await openBus(t, nats.url))
  return { ...world, open: () => openStore(t, { databaseUrl: database.url, natsUrl: nats.url }) }
}

t.test('the outbox is empty when all is quiet, and every event is in the stream', async t => {
  const world = await setup(t, { stores: 2 })
  const [ada, bob] = await world.people('Ada', 'Bob')
  const { id } = await world.group(ada, bob)
  await Promise.all(upTo(20).map(n => world.sendAll([toSend(ada, id, `${n}`), toSend(bob, id, `${n}`)])))
  const message = await world.say(ada, id, 'hello')
  await world.edit(ada, message, 'hullo')
  await world.remove(ada, message)

  await isEmpty(world)
  t.same(
    await versionsInStream(world, id),
    upTo(43).map(n => n + 1)
  )
})

async function versionsInStream({ bus }: World, conversation_id: string): Promise<number[]> {
  const js = bus.connection.jetstream()
  const consumer = await js.consumers.get('EVT')
  const versions = new Set<number>()
  const messages = await consumer.fetch({ max_messages: 1_000, expires: 1_000 })
  for await (const message of messages) {
    for (const line of message.string().split('\n')) {
      const change = JSON.parse(line)
      if (change.conversation_id === conversation_id) versions.add(change.version)
    }
    if (message.info.pending === 0) break
  }
  return [...versions].sort((a, b) => a - b)
}

t.test('a store that is killed between commit and publish loses no event: another one publishes it', async t => {
  const world = await withoutStores(t)
  const first = await world.open()
  const [ada, bob] = await world.people('Ada', 'Bob')
  const { id } = await world.group(ada, bob)
  await isEmpty(world)
  await first.close()
  const heard = await world.listen(id)
  const doomed = await startStore(t, {
    databaseUrl: world.database.url,
    natsUrl: world.nats.url,
    env: { NODE_OPTIONS: DIES_AFTER_COMMIT }
  })
  const sends = upTo(3).map(n => toSend(ada, id, `before the end ${n}`))

  const unanswered = world.sendAll(sends)
  unanswered.catch(() => {})
  t.equal((await doomed.exited).signal, 'SIGKILL')

  t.equal((await world.database.query('select 1 from messaging.messages where conversation_id = $1', [id])).length, 3, 'they are committed')
  t.match(await rows(world), [{ kind: 'new_message' }], 'and what is to be told is left')
  await t.rejects(unanswered, { code: 'unavailable' }, 'nobody was told that they are')
  t.same(heard, [], 'nor of them')

  const second = await world.open()
  await until(() => heard.length === 3, { timeoutMs: 10_000, what: 'the events are published' })
  t.same(
    heard.map(({ type, version, message }) => [type, version, message.content]),
    upTo(3).map(n => ['new_message', n + 1, `before the end ${n}`])
  )
  await isEmpty(world)
  const again = await world.sendAll(sends)
  t.same(
    again.map(({ duplicate, message }) => [duplicate, message?.seq]),
    upTo(3).map(n => [true, n]),
    'the retry finds what stands'
  )
  t.same(
    again.map(({ message }) => message),
    heard.map(({ message }) => message)
  )
  const { body } = await second.inject({ url: '/metrics' })
  t.match(body, /^parley_outbox_swept_total\{.*\} 1$/m)
})

t.test('what is left behind of edits, deletes and new conversations is published too, at its newest state', async t => {
  const world = await setup(t)
  const [ada, bob] = await world.people('Ada', 'Bob')
  const { id } = await world.group(ada, bob)
  const [one, two] = [await world.say(ada, id, 'one'), await world.say(ada, id, 'two')]
  const edited = await world.edit(ada, one, 'edited')
  const deleted = await world.remove(ada, two)
  await isEmpty(world)
  const heard = await world.listen(id)
  const added: { conversation_id: string; conversation: { my: { role: string } } }[] = []
  world.bus.subscribe(`evt.users.${bob.org_id}.${bob.id}`, ({ data }) => added.push(JSON.parse(Buffer.from(data).toString())))
  await world.bus.flush()

  // As a store leaves them that dies right after its commit; the version of the first send is passed by the edit's.
  const leave = (kind: string, versions: number[], user_ids: string[] = []) =>
    world.database.query(
      `insert into messaging.outbox_batches (id, created_at, kind, conversation_ids, versions, user_ids)
       values ($1, now() - interval '3 s', $2, $3, $4, $5)`,
      [randomUUID(), kind, kind === 'conversation_added' ? [id] : versions.map(() => id), versions, user_ids]
    )
  await leave('new_message', [one.version])
  await leave('message_updated', [edited.version])
  await leave('message_deleted', [deleted.version])
  await leave('conversation_added', [], [ada.id, bob.id])

  await until(() => heard.length === 2 && added.length === 1, { what: 'all is told' })
  await isEmpty(world)
  const byType = new Map(heard.map(change => [change.type, change]))
  t.same(byType.get('message_updated'), { type: 'message_updated', conversation_id: id, version: edited.version, message: edited })
  t.same(byType.get('message_deleted'), { type: 'message_deleted', conversation_id: id, version: deleted.version, message: deleted })
  t.match(added, [{ conversation_id: id, conversation: { my: { role: 'member' } } }])
})

t.test('two stores that sweep at once share what is left, and everything is told', async t => {
  const world = await withoutStores(t)
  const first = await world.open()
  const [ada, bob] = await world.people('Ada', 'Bob')
  const { id } = await world.group(ada, bob)
  await world.sendAll(upTo(120).map(n => toSend(ada, id, `${n}`)))
  await isEmpty(world)
  await first.close()
  const heard = await world.listen(id)
  await world.database.query(
    `insert into messaging.outbox_batches (id, created_at, kind, conversation_ids, versions)
     select gen_random_uuid(), now() - interval '1 min', 'new_message', array[$1::uuid], array[v] from generate_series(2, 121) v`,
    [id]
  )
  await Promise.all([world.open(), world.open()])
  await until(() => heard.length >= 120, { timeoutMs: 15_000, what: 'all is told' })
  await isEmpty(world)
  t.same(
    [...new Set(heard.map(({ version }) => version))].sort((a, b) => a - b),
    upTo(120).map(n => n + 1)
  )
})

t.test('while the stream is absent or refuses, sends are acknowledged, rows stay, and are published once it takes them', async t => {
  const world = await setup(t)
  const [ada, bob] = await world.people('Ada', 'Bob')
  const { id } = await world.group(ada, bob)
  const manager = await world.bus.connection.jetstreamManager()
  await isEmpty(world)

  await manager.streams.delete('EVT')
  t.equal((await world.say(ada, id, 'no stream')).seq, 1)
  t.equal((await rows(world)).length, 1)
  await manager.streams.add({ name: 'EVT', subjects: [ChangeLog.address], max_msg_size: 100 })
  t.equal((await world.say(ada, id, 'a stream that takes nothing of this size')).seq, 2)
  await world.say(ada, id, 'and another')
  t.equal((await rows(world)).length, 3)
  await manager.streams.delete('EVT')
  await ensureStreams(world.bus.connection)

  await isEmpty(world)
  t.same(await versionsInStream(world, id), [2, 3, 4])
})
