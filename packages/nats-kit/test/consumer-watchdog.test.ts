import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { failOnLeftovers, freshDatabase, type Scope, startTestNats, until } from '@parley/test-kit'
import { connect } from 'nats'
import t from 'tap'
import { ensureStreams } from '../src/index.ts'
import { type CounterOptions, createCounting, effectsOf, line, publish, runCounter } from './counter.ts'

failOnLeftovers(t)

const WATCHDOG_MS = 15_000

async function setup(t: Scope, options: Partial<CounterOptions> = {}) {
  const [nats, database] = await Promise.all([startTestNats(t), freshDatabase(t)])
  await createCounting(database)
  const connection = await connect({ servers: nats.url, maxReconnectAttempts: -1, reconnectTimeWait: 200 })
  t.teardown(() => connection.close())
  await ensureStreams(connection)
  const counter = await runCounter(t, { natsUrl: nats.url, databaseUrl: database.url, ...options })
  const manager = await connection.jetstreamManager()
  return {
    ...counter,
    nats,
    database,
    connection,
    manager,
    effects: () => effectsOf(database),
    untilTotal: (total: number, timeoutMs = WATCHDOG_MS) =>
      until(async () => (await effectsOf(database)).total >= total, { timeoutMs, what: `there are ${total} effects` }),
    untilAcknowledged: () => until(async () => (await manager.consumers.info('EVT', 'counter')).num_ack_pending === 0)
  }
}

const [a, b] = [randomUUID(), randomUUID()]
const lines = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => line(a, from + index))

t.test('a consumer that somebody deletes is made anew within 15 s, and goes on where it was', async t => {
  const { connection, manager, effects, untilTotal, untilAcknowledged, metric, app } = await setup(t)
  await publish(connection, ...lines(1, 5))
  await untilTotal(5)
  await untilAcknowledged()
  // It looks every five seconds, and has to have seen what is acknowledged.
  await delay(6_000)

  // A server that writes the consumer's state meanwhile has deleted it as well, and says that its folder is not empty.
  await manager.consumers.delete('EVT', 'counter').catch(error => {
    if (!/directory not empty/.test(error.message)) throw error
  })
  await publish(connection, ...lines(6, 8))
  await untilTotal(8)
  const { config, delivered } = await manager.consumers.info('EVT', 'counter')
  t.equal(config.opt_start_seq, 6)
  t.equal(delivered.consumer_seq, 3, 'what was acknowledged did not come again')
  const { orders, doubled } = await effects()
  t.same(orders.get(a), [1, 2, 3, 4, 5, 6, 7, 8])
  t.same(doubled, [])
  t.equal(await metric('consumer_restarts_total', 'cause="gone"'), 1)
  t.match(await app.health.read(), { status: 'ready', dependencies: { 'consumer counter': 'up' } })
})

t.test('a stream that is deleted and published anew brings what is missing, and no effect twice', async t => {
  const { connection, manager, effects, untilTotal, metric } = await setup(t)
  await publish(connection, ...lines(1, 5), line(b, 1))
  await untilTotal(6)

  await manager.streams.delete('EVT')
  await ensureStreams(connection)
  await publish(connection, [...lines(1, 4), line(b, 1), line(b, 2)].join('\n'), lines(5, 7).join('\n'))
  await untilTotal(9)
  const { orders, doubled } = await effects()
  t.same(
    [orders.get(a), orders.get(b)],
    [
      [1, 2, 3, 4, 5, 6, 7],
      [1, 2]
    ]
  )
  t.same(doubled, [])
  t.equal(await metric('consumer_restarts_total', 'cause="gone"'), 1)

  // And one that nobody else makes again.
  await manager.streams.delete('EVT')
  await until(() => manager.streams.info('EVT').catch(() => undefined), { timeoutMs: WATCHDOG_MS, what: 'the watchdog makes the stream' })
  await publish(connection, line(a, 8))
  await untilTotal(10)
})

t.test('NATS that dies and comes back, or stands still, is taken up again without a loss', async t => {
  const { nats, connection, effects, untilTotal, consumer } = await setup(t)
  await publish(connection, ...lines(1, 3))
  await untilTotal(3)

  await nats.crash()
  await nats.start()
  await until(() => !connection.isClosed() && publish(connection, line(a, 4)).then(() => true))
  await untilTotal(4, 25_000)

  await nats.freeze()
  await delay(1_000)
  await nats.thaw()
  await publish(connection, line(a, 5))
  await untilTotal(5)
  t.same((await effects()).orders.get(a), [1, 2, 3, 4, 5])
  t.same((await effects()).doubled, [])
  await until(() => consumer.isHealthy)
})

/** What the library keeps to itself. */
interface Protocol {
  subscriptions: { subs: Map<number, { sid: number; subject: string }> }
  sendCommand(text: string): void
}

t.test('a subscription that the server knows nothing of any more is made anew', async t => {
  const { app, connection, untilTotal, metric } = await setup(t)
  // The client is not told of it, as after a reconnect that went wrong: it goes on waiting and nothing comes.
  const { protocol } = app.bus.connection as unknown as { protocol: Protocol }
  const forgotten = new Set<number>()
  await until(
    async () => {
      // One that ends by itself meanwhile is followed by another.
      for (const { sid, subject } of protocol.subscriptions.subs.values()) {
        if (!/^_INBOX\.[0-9a-f-]{36}$/.test(subject) || forgotten.has(sid)) continue
        forgotten.add(sid)
        protocol.sendCommand(`UNSUB ${sid}\r\n`)
      }
      return (await metric('consumer_restarts_total', 'cause="silent"')) >= 1
    },
    { timeoutMs: WATCHDOG_MS, what: 'the silence is noticed' }
  )
  t.ok(forgotten.size >= 1)
  await publish(connection, line(a, 1))
  await untilTotal(1)
})

t.test('a stop finishes the batch in hand, acknowledges it, and the next process has the rest at once', async t => {
  let isLet = false
  let started = 0
  const { app, connection, manager, effects, untilTotal, nats, database } = await setup(t, {
    before: async () => {
      started++
      await until(() => isLet)
    },
    consume: { ackWaitMs: 30_000 }
  })
  await publish(connection, line(a, 1))
  await until(() => started === 1)
  await publish(connection, line(a, 2), line(a, 3))
  await until(async () => (await manager.consumers.info('EVT', 'counter')).num_ack_pending === 3)
  const closed = app.close()
  isLet = true
  await closed
  t.same((await effects()).orders.get(a), [1])
  t.equal((await manager.consumers.info('EVT', 'counter')).ack_floor.stream_seq, 1)

  await runCounter(t, { natsUrl: nats.url, databaseUrl: database.url, consume: { ackWaitMs: 30_000 } })
  // Half of the time after which the server would give it to somebody else by itself.
  await untilTotal(3, 15_000)
  t.same((await effects()).orders.get(a), [1, 2, 3])
})
