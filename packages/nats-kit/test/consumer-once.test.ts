import { type ChildProcess, fork } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { failOnLeftovers, freshDatabase, type Scope, startTestNats, until } from '@parley/test-kit'
import { connect } from 'nats'
import t from 'tap'
import { ensureStreams } from '../src/index.ts'
import { type CounterOptions, createCounting, effectsOf, line, publish, runCounter } from './counter.ts'

failOnLeftovers(t)

const PROCESS = fileURLToPath(new URL('counter-process.ts', import.meta.url))

async function setup(t: Scope) {
  const [nats, database] = await Promise.all([startTestNats(t), freshDatabase(t)])
  await createCounting(database)
  const connection = await connect({ servers: nats.url })
  t.teardown(() => connection.close())
  await ensureStreams(connection)
  const manager = await connection.jetstreamManager()
  return {
    connection,
    database,
    run: (options: Partial<CounterOptions> = {}) => runCounter(t, { natsUrl: nats.url, databaseUrl: database.url, ...options }),
    /** A counting service as a process; resolves once it consumes. */
    async fork(env: NodeJS.ProcessEnv = {}): Promise<ChildProcess> {
      const child = fork(PROCESS, { env: { PATH: process.env.PATH, NATS_URL: nats.url, DATABASE_URL: database.url, ...env } })
      t.teardown(() => child.kill('SIGKILL'))
      await Promise.race([once(child, 'message'), once(child, 'exit')])
      return child
    },
    untilDone: (consumer = 'counter') =>
      until(
        async () => {
          const { num_pending, num_ack_pending } = await manager.consumers.info('EVT', consumer)
          return num_pending === 0 && num_ack_pending === 0
        },
        { timeoutMs: 40_000, what: 'everything is acknowledged' }
      )
  }
}

const ids = Array.from({ length: 5 }, () => randomUUID())

t.test('what is published again and grouped anew has its effects once, and in order', async t => {
  const { connection, database, run, untilDone } = await setup(t)
  const [a, b, c] = ids as [string, string, string]
  await publish(
    connection,
    [line(a, 1), line(b, 1), line(a, 2)].join('\n'),
    [line(a, 3), line(c, 1)].join('\n'),
    // The sweeper's, of a store that died: other groups, and one frame of a message alone.
    [line(a, 2), line(a, 3), line(b, 1), line(b, 2)].join('\n'),
    line(c, 1),
    [line(c, 2), line(c, 1), line(a, 1), line(a, 4)].join('\n')
  )
  const counter = await run()
  await untilDone()
  const effects = await effectsOf(database)
  t.equal(effects.total, 8)
  t.same(effects.doubled, [])
  t.same(effects.disordered, [])
  t.equal(await counter.metric('consumer_events_total', 'outcome="applied"'), 8)

  // While it runs, and what it knows stands in the database and not in its memory.
  await publish(connection, [line(a, 4), line(a, 5)].join('\n'))
  await untilDone()
  await counter.app.close()
  await run()
  await publish(connection, [line(a, 5), line(a, 6)].join('\n'))
  await untilDone()
  t.same((await effectsOf(database)).orders.get(a), [1, 2, 3, 4, 5, 6])
})

t.test('what two stores publish the wrong way round is applied in order, and late duplicates are known', async t => {
  const { connection, database, run, untilDone } = await setup(t)
  const [a, b] = ids as [string, string]
  await run()
  await publish(connection, line(a, 1), line(b, 1))
  await untilDone()
  await publish(connection, [line(a, 3), line(b, 2)].join('\n'), line(a, 4))
  // Nothing says that 2 comes later: only that it may.
  await until(async () => (await effectsOf(database)).orders.get(b)?.length === 2)
  await publish(connection, line(a, 2))
  await untilDone()
  await publish(connection, [line(a, 1), line(a, 2), line(a, 3)].join('\n'))
  await untilDone()
  const effects = await effectsOf(database)
  t.same(effects.orders.get(a), [1, 2, 3, 4])
  t.same(effects.orders.get(b), [1, 2])
})

t.test('a version that is never published holds its conversation up for a moment, and has its effect when it comes after all', async t => {
  const { connection, database, run, untilDone } = await setup(t)
  const [a] = ids as [string]
  const counter = await run()
  await publish(connection, line(a, 1))
  await untilDone()
  await publish(connection, line(a, 3))
  await untilDone()
  await publish(connection, line(a, 2))
  await untilDone()
  t.same((await effectsOf(database)).orders.get(a), [1, 3, 2])
  t.equal(await counter.metric('consumer_redeliveries_total'), 0, 'waiting cost no delivery')
})

t.test('two processes under one name share the work, one of them is replaced, and each change has its effect once', async t => {
  const { connection, database, fork, untilDone } = await setup(t)
  const children = await Promise.all([fork(), fork()])
  for (let version = 1; version <= 80; version++) await publish(connection, ids.map(id => line(id, version)).join('\n'))
  await untilDone()
  const effects = await effectsOf(database)
  t.equal(effects.total, ids.length * 80)
  t.same(effects.doubled, [])
  t.equal(effects.processes, 2)

  const gone = once(children[0]!, 'exit')
  children[0]!.kill('SIGTERM')
  await publish(connection, ...ids.map(id => line(id, 81)))
  t.same(await gone, [0, null])
  await fork()
  await publish(connection, ...ids.map(id => line(id, 82)))
  await untilDone()
  const after = await effectsOf(database)
  t.equal(after.distinct, ids.length * 82)
  t.same(after.doubled, [])
})

/** Lets processes die between commit and acknowledgement until one of them gets through. */
async function dieInBetween(t: Scope, env: NodeJS.ProcessEnv) {
  const { connection, database, fork, untilDone } = await setup(t)
  for (let version = 1; version <= 12; version++) await publish(connection, ids.map(id => line(id, version)).join('\n'))
  let deaths = 0
  for (const after of [1, 2, 3]) {
    const child = await fork({ ...env, DIE_AFTER: `${after}` })
    // It may have died before it could say that it is ready.
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    if (child.signalCode === 'SIGKILL') deaths++
  }
  await fork(env)
  await untilDone()
  return { deaths, effects: await effectsOf(database) }
}

t.test('a process that is killed between commit and acknowledgement leaves no effect doubled and none out', async t => {
  const { deaths, effects } = await dieInBetween(t, {})
  t.equal(deaths, 3)
  t.equal(effects.distinct, 60)
  t.same(effects.doubled, [])
})

t.test('the same without the inbox doubles effects: the test above can see it', async t => {
  const { deaths, effects } = await dieInBetween(t, { WITHOUT_INBOX: '1' })
  t.equal(deaths, 3)
  t.equal(effects.distinct, 60)
  t.ok(effects.doubled.length > 0, `${effects.doubled.length} doubled`)
})
