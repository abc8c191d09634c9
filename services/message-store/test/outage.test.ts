import { sql } from '@parley/pg-kit'
import {
  type FreshDatabase,
  failOnLeftovers,
  freshDatabase,
  migrateTestDatabase,
  startStore,
  startTestNats,
  startTestPostgres,
  until
} from '@parley/test-kit'
import t from 'tap'
import { type Line, openBus, openOwner, openStore, toSend, upTo, worldOf } from './setup.ts'

failOnLeftovers(t)

t.test('while PostgreSQL is killed or frozen, sends are unavailable within two seconds and not acknowledged', async t => {
  const [postgres, nats] = await Promise.all([startTestPostgres(t), startTestNats(t)])
  await migrateTestDatabase(postgres.url)
  const store = await openStore(t, { databaseUrl: postgres.url, natsUrl: nats.url })
  const world = worldOf({ url: postgres.url } as FreshDatabase, nats, [store], await openBus(t, nats.url))
  const [ada, bob] = await world.people('Ada', 'Bob')
  const { id } = await world.group(ada, bob)
  await world.say(ada, id, 'before')
  const ready = async () => (await store.inject({ url: '/health/ready' })).statusCode

  for (const how of ['crash', 'freeze'] as const) {
    const sends = upTo(10).map(n => toSend(ada, id, `${how} ${n}`))
    await postgres[how]()
    const since = Date.now()
    const acknowledged: string[] = []
    const outcomes = await Promise.allSettled(sends.map(send => world.sendAll([send])))
    t.ok(Date.now() - since < 2_500, `${how}: ${Date.now() - since} ms`)
    for (const outcome of outcomes) {
      const line: Line = outcome.status === 'rejected' ? { error: outcome.reason } : outcome.value[0]!
      // Backends outlive a killed postmaster for a moment: what one of them still commits is acknowledged, and stands.
      if (how === 'crash' && line.message) acknowledged.push(line.message.id)
      else t.match(line.error, { code: 'unavailable', retry_after_ms: 1_000 }, how)
    }
    if (how === 'crash') {
      t.equal(await ready(), 503)
      await postgres.start()
    } else {
      await postgres.thaw()
    }

    const line = await until(() => world.sendAll([toSend(bob, id, `after ${how}`)]).then(([line]) => line?.message && line), {
      timeoutMs: 15_000,
      what: 'sends are taken again'
    })
    t.ok(line.message)
    t.equal(await ready(), 200)
    const retried = await world.sendAll(sends)
    const standing = new Set(retried.map(({ message }) => message?.id))
    t.equal(standing.size, 10, 'a retry is answered')
    t.ok(
      acknowledged.every(id => standing.has(id)),
      'what was acknowledged stands'
    )
    const stored = await openOwner(t, postgres.url).query(db =>
      db.selectFrom('messages').select(['seq', 'content']).orderBy('seq').execute()
    )
    t.equal(new Set(stored.map(({ content }) => content)).size, stored.length, 'and nothing is there twice')
    t.same(
      stored.map(({ seq }) => seq),
      upTo(stored.length)
    )
  }
})

t.test('a stop with 40 sends in hand answers all 40 and leaves nothing to publish', async t => {
  const [database, nats] = await Promise.all([freshDatabase(t), startTestNats(t)])
  const store = await startStore(t, { databaseUrl: database.url, natsUrl: nats.url })
  const world = worldOf(database, nats, [], await openBus(t, nats.url))
  const [ada, bob] = await world.people('Ada', 'Bob')
  const { id } = await world.group(ada, bob)
  const heard = await world.listen(id)
  const owner = openOwner(t, database.url)
  const waits = () => database.query("select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'")

  let answers: Promise<Line[]>[] = []
  await owner.transaction(async db => {
    await sql`select from conversations where id = ${id} for update`.execute(db)
    answers = upTo(40).map(n => world.sendAll([toSend(ada, id, `${n}`)]))
    await until(async () => (await waits()).length > 0, { what: 'the batch waits for the conversation' })
    store.kill('SIGTERM')
    await until(async () => !(await store.isReady()), { what: 'it stops' })
  })

  const lines = (await Promise.all(answers)).flat()
  t.same(
    lines.map(({ message }) => message?.seq).sort((a, b) => a! - b!),
    upTo(40)
  )
  t.same(await store.exited, { code: 0, signal: null })
  t.equal((await database.query('select 1 from messaging.messages')).length, 40)
  await until(() => heard.length === 40, { what: 'all are told' })
  t.same(await database.query('select 1 from messaging.outbox_batches'), [])
})

t.test('a conversation that somebody holds is unavailable after a while; what waited behind it goes on', async t => {
  const [database, nats] = await Promise.all([freshDatabase(t), startTestNats(t)])
  const store = await openStore(t, { databaseUrl: database.url, natsUrl: nats.url })
  const world = worldOf(database, nats, [store], await openBus(t, nats.url))
  const [ada, bob] = await world.people('Ada', 'Bob')
  const [held, free] = [await world.group(ada, bob), await world.group(ada, bob)]
  const owner = openOwner(t, database.url)

  await owner.transaction(async db => {
    await sql`select from conversations where id = ${held.id} for update`.execute(db)
    t.match(await world.sendAll([toSend(ada, held.id, 'held')]), [{ error: { code: 'unavailable' } }])
    t.match(await world.sendAll([toSend(ada, free.id, 'free')]), [{ message: { seq: 1 } }])
  })
  t.equal((await world.say(ada, held.id, 'again')).seq, 1)
})

t.test('a store that cannot reach NATS ends, and says why', async t => {
  const database = await freshDatabase(t)
  await t.rejects(
    startStore(t, { databaseUrl: database.url, natsUrl: 'nats://127.0.0.1:1' }),
    /NATS cannot be reached at nats:..127.0.0.1:1/
  )
})
