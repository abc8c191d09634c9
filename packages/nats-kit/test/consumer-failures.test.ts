import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { AppError } from '@parley/contracts'
import { failOnLeftovers, freshDatabase, migratedDatabase, type Scope, startTestNats, startTestPostgres, until } from '@parley/test-kit'
import { connect } from 'nats'
import t from 'tap'
import { ensureStreams } from '../src/index.ts'
import { type CounterOptions, createCounting, effectsOf, line, publish, runCounter, SCHEMA } from './counter.ts'

failOnLeftovers(t)

const nats = await startTestNats(t)
const database = await freshDatabase(t)
await createCounting(database)
const connection = await connect({ servers: nats.url })
t.teardown(() => connection.close())
await ensureStreams(connection)
const manager = await connection.jetstreamManager()

let names = 0

/** A counter of a name of its own, which sees the stream from its beginning as every consumer does. */
async function setup(t: Scope, options: Partial<CounterOptions> = {}) {
  await manager.streams.purge('EVT')
  const name = `counter-${++names}`
  const counter = await runCounter(t, { natsUrl: nats.url, databaseUrl: database.url, name, ...options })
  return {
    ...counter,
    name,
    effects: () => effectsOf(database, name),
    letters: () =>
      database.query<{
        id: string
        reason: string
        error: string
        deliveries: number
        payload: Buffer
        first_failed_at: Date
        last_failed_at: Date
      }>(`select * from ${SCHEMA}.dead_letters where consumer = $1 order by id`, [name]),
    askForReplay: () => database.query(`update ${SCHEMA}.dead_letters set replay_requested_at = now() where consumer = $1`, [name]),
    untilDone: () =>
      until(
        async () => {
          const { num_pending, num_ack_pending } = await manager.consumers.info('EVT', name)
          return num_pending === 0 && num_ack_pending === 0
        },
        { timeoutMs: 30_000, what: 'everything is acknowledged' }
      )
  }
}

const [a, b, c] = [randomUUID(), randomUUID(), randomUUID()]

t.test('what is no event is put to the dead letters at once, with its reason, and what stands beside it is applied', async t => {
  const { letters, effects, untilDone, metric } = await setup(t)
  const withNul = line(a, 2, 'nul').replace('"nul"', '"a\\u0000b"')
  const huge = line(a, 9, 'x'.repeat(2 * 1024 * 1024))
  await publish(
    connection,
    [line(a, 1), '{"type":"new_message",', line(b, 1)].join('\n'),
    withNul,
    [line(b, 2), line(c, -1)].join('\n'),
    line(c, 1).replace('"version":1', '"version":"1"'),
    line(c, 0),
    line(c, 1).replace('new_message', 'of_another_time'),
    Buffer.from([0xff, 0xfe, 0x00]),
    huge,
    line(c, 1)
  )
  await untilDone()
  t.same(
    (await letters()).map(({ reason }) => reason),
    [
      ...['invalid_json', 'invalid_text', 'invalid_request', 'invalid_request', 'invalid_request', 'invalid_request'],
      ...['invalid_json', 'too_large']
    ]
  )
  t.same(
    (await letters()).map(({ deliveries }) => deliveries),
    Array(8).fill(1)
  )
  t.match((await letters())[2]!.error, /version -1/)
  t.match((await letters())[5]!.error, /"of_another_time"/)
  t.same((await letters())[7]!.payload, Buffer.from(huge), 'the whole of it is kept')
  for (const { error } of await letters()) t.ok(error.length > 0 && error.length <= 500 && !/\n\s+at /.test(error), error.slice(0, 60))
  const { orders } = await effects()
  t.same([orders.get(a), orders.get(b), orders.get(c)], [[1], [1, 2], [1]])
  t.equal(await metric('consumer_events_total', 'outcome="dead"'), 8)

  // The same poison once more is the same letter.
  await publish(connection, withNul, withNul)
  await untilDone()
  t.equal((await letters()).length, 8)
})

t.test('an event that fails comes again, later each time, is put away in the end, and holds only its conversation up', async t => {
  const tries: number[] = []
  const before: CounterOptions['before'] = fresh => {
    if (!fresh.some(event => event.conversation_id === a && event.version === 2)) return
    if (fresh.length === 1) tries.push(Date.now())
    throw new Error('this one cannot be applied')
  }
  const { letters, effects, untilDone, metric } = await setup(t, { before })
  await publish(connection, [line(a, 1), line(b, 1), line(a, 2), line(a, 3), line(b, 2)].join('\n'), line(c, 1))
  await until(async () => (await effects()).total === 4, { what: 'the others are applied' })
  t.ok(tries.length < 4, 'while it is still being tried')
  await untilDone()
  const { orders, doubled } = await effects()
  t.same([orders.get(a), orders.get(b), orders.get(c)], [[1, 3], [1, 2], [1]])
  t.same(doubled, [])
  t.equal(tries.length, 4)
  const waits = tries.slice(1).map((at, index) => at - tries[index]!)
  // Doubled from 100 ms, half of it by chance.
  for (const [index, wait] of waits.entries()) t.ok(wait >= 50 * 2 ** index, `${wait} ms before try ${index + 2}`)
  const [letter, ...more] = await letters()
  t.same(more, [])
  t.match(letter, { reason: 'failed', error: 'Error: this one cannot be applied', deliveries: 4 })
  t.equal(JSON.parse(letter!.payload.toString()).version, 2)
  t.ok(letter!.first_failed_at < letter!.last_failed_at)
  t.equal(await metric('consumer_redeliveries_total'), 3)
})

t.test('what follows an event that fails waits for it, even in a conversation that was not seen before', async t => {
  let tries = 0
  const before: CounterOptions['before'] = fresh => {
    if (fresh.some(({ version }) => version === 1) && ++tries <= 3) throw new Error('not now')
  }
  const { effects, untilDone } = await setup(t, { before })
  await publish(connection, [line(a, 1), line(a, 2)].join('\n'))
  await untilDone()
  t.same((await effects()).orders.get(a), [1, 2])
})

t.test('a letter that is replayed once its cause is mended has its effect once, and no other consumer has it again', async t => {
  let isMended = false
  const before: CounterOptions['before'] = fresh => {
    if (!isMended && fresh.some(({ version }) => version === 2)) throw new Error('not yet')
  }
  const other = await setup(t)
  const { letters, effects, untilDone, askForReplay } = await setup(t, { before })
  await publish(connection, line(a, 1), line(a, 2), line(a, 3))
  await Promise.all([untilDone(), other.untilDone()])
  t.same((await effects()).orders.get(a), [1, 3])
  t.equal((await letters()).length, 1)

  await askForReplay()
  await until(async () => (await letters())[0]?.error === 'Error: not yet' && (await replays(database, (await letters())[0]!.id)) === 1, {
    what: 'it failed again, and stays'
  })
  isMended = true
  await askForReplay()
  await until(async () => (await letters()).length === 0)
  t.same((await effects()).orders.get(a), [1, 3, 2])
  t.same((await other.effects()).orders.get(a), [1, 2, 3], 'the other had it once, and not again')

  // It comes once more from the stream as well.
  await publish(connection, line(a, 2))
  await untilDone()
  t.same((await effects()).doubled, [])
})

const replays = async ({ query }: typeof database, id: string) =>
  (await query<{ replays: number }>(`select replays from ${SCHEMA}.dead_letters where id = $1`, [id]))[0]?.replays

t.test('an effect that takes longer than the server waits is done once', async t => {
  let calls = 0
  const { effects, untilDone, metric } = await setup(t, {
    before: async () => {
      calls++
      await delay(4_000)
    }
  })
  await publish(connection, line(a, 1))
  await untilDone()
  t.equal(calls, 1)
  t.equal((await effects()).total, 1)
  t.equal(await metric('consumer_redeliveries_total'), 0)
})

t.test('one event that alone finds something away does not hold the others up, and is no dead letter', async t => {
  let isAway = true
  const before: CounterOptions['before'] = fresh => {
    if (isAway && fresh.some(event => event.conversation_id === a)) throw new AppError('unavailable', 'not for this one')
  }
  const { effects, letters, untilDone, metric } = await setup(t, { before })
  await publish(connection, line(a, 1), line(b, 1))
  await until(async () => (await effects()).orders.has(b), { timeoutMs: 15_000 })
  await publish(connection, line(b, 2))
  await until(async () => (await effects()).orders.get(b)?.length === 2, { timeoutMs: 15_000 })
  t.ok((await metric('consumer_failures_total')) > 0)
  isAway = false
  await untilDone()
  t.same((await effects()).orders.get(a), [1])
  t.same(await letters(), [])
})

t.test('while PostgreSQL is away nothing is lost, tried too often or put to the dead letters', async t => {
  await manager.streams.purge('EVT')
  const server = await startTestPostgres(t)
  const own = await migratedDatabase(server.url)
  await createCounting(own)
  const { app, consumer, metric } = await runCounter(t, { natsUrl: nats.url, databaseUrl: server.url, name: 'away' })
  await publish(connection, line(a, 1))
  await until(async () => (await effectsOf(own, 'away')).total === 1)

  await server.crash()
  for (let version = 2; version <= 30; version++) await publish(connection, line(a, version))
  await until(() => !consumer.isHealthy, { what: 'it says that it waits' })
  t.equal(await metric('consumer_paused'), 1)
  t.match(await app.health.read(), { status: 'degraded', dependencies: { 'consumer away': 'down' } })
  // Longer than the server waits for a word, so it is told to wait.
  await delay(4_000)

  await server.start()
  await until(async () => (await effectsOf(own, 'away')).total === 30, { timeoutMs: 30_000 })
  const { orders } = await effectsOf(own, 'away')
  t.same(
    orders.get(a),
    Array.from({ length: 30 }, (_, index) => index + 1)
  )
  t.same(await own.query(`select * from ${SCHEMA}.dead_letters`), [])
  t.equal(await metric('consumer_redeliveries_total'), 0)
  t.equal(await metric('consumer_failures_total'), 0)
  await until(() => consumer.isHealthy)
})
