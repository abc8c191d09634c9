import { randomBytes } from 'node:crypto'
import {
  failOnLeftovers,
  migratedDatabase,
  startGateway,
  startStore,
  startTestNats,
  startTestPostgres,
  startTestRedis,
  type TestNats,
  type TestProcess
} from '@parley/test-kit'
import t, { type Test } from 'tap'

failOnLeftovers(t)

const PRODUCTION = { NODE_ENV: 'production' }
const ALLOWED = { ...PRODUCTION, ALLOW_UNSAFE_DURABILITY: '1' }

const [postgres, safeNats, lazyNats, redis] = await Promise.all([
  startTestPostgres(t),
  startTestNats(t, { syncAlways: true }),
  startTestNats(t, { syncAlways: false }),
  startTestRedis(t)
])
const database = await migratedDatabase(postgres.url)

/** While a test lasts. One setting is that of the database alone: what counts is what the service's own sessions have. */
async function makeUnsafe(t: Test): Promise<void> {
  const apply = async (...statements: string[]) => {
    for (const statement of [...statements, 'select pg_reload_conf()']) await database.query(statement)
  }
  await apply(
    'alter system set fsync = off',
    'alter system set full_page_writes = off',
    'alter database parley set synchronous_commit = off'
  )
  t.teardown(() => apply('alter system reset all', 'alter database parley reset synchronous_commit'))
}

const store = (t: Test, nats: TestNats, env: NodeJS.ProcessEnv) =>
  startStore(t, { databaseUrl: postgres.url, natsUrl: nats.url, env: { NATS_MONITOR_URL: nats.monitorUrl, ...env } })

const gateway = (t: Test, nats: TestNats, env: NodeJS.ProcessEnv) =>
  startGateway(t, {
    natsUrl: nats.url,
    redisUrl: redis.url,
    secret: randomBytes(32).toString('base64url'),
    env: { NATS_MONITOR_URL: nats.monitorUrl, ...env }
  })

async function gauges({ opsUrl }: TestProcess): Promise<Record<string, string>> {
  const text = await (await fetch(`${opsUrl}/metrics`)).text()
  const found = [...text.matchAll(/^parley_durability_safe\{([^}]*)\} (\S+)$/gm)]
  return Object.fromEntries(found.map(([, labels, value]) => [/component="(\w+)"/.exec(labels!)![1]!, value!]))
}

const warnings = async (process: TestProcess): Promise<string[]> =>
  (await process.log())
    .split('\n')
    .filter(line => line.includes('acknowledged messages may be lost'))
    .map(line => JSON.parse(line).component)

t.test('on servers that keep what they acknowledge the services start in production and warn of nothing', async t => {
  const [started, door] = await Promise.all([store(t, safeNats, PRODUCTION), gateway(t, safeNats, PRODUCTION)])
  t.same(await gauges(started), { postgresql: '1', jetstream: '1' })
  t.same(await warnings(started), [])
  t.same(await gauges(door), { jetstream: '1' })
})

t.test(
  'on servers that may lose what they acknowledge both services refuse to start in production, and say why and what to do',
  async t => {
    await makeUnsafe(t)
    const [refused] = await Promise.all([
      t.rejects(store(t, lazyNats, PRODUCTION)),
      t.rejects(gateway(t, lazyNats, PRODUCTION), /jetstream sync_interval = 120s: /)
    ])
    const { message } = refused as unknown as Error
    for (const line of [
      /postgresql synchronous_commit = off: .*any crash of the server takes the last ones.* To mend it, set synchronous_commit = on /,
      /postgresql fsync = off: .* To mend it, set fsync = on /,
      /postgresql full_page_writes = off: .* To mend it, set full_page_writes = on /,
      /jetstream sync_interval = 120s: .* To mend it, set jetstream \{ sync_interval: always \} /,
      /ALLOW_UNSAFE_DURABILITY=1 starts all the same\./,
      /message-store-1 ended with 1/
    ]) {
      t.match(message, line)
    }
  }
)

t.test('with everything unsafe services start where that is allowed, and in development; they warn, and the metric says it', async t => {
  await makeUnsafe(t)
  for (const env of [ALLOWED, { NODE_ENV: 'development' }]) {
    const [started, door] = await Promise.all([store(t, lazyNats, env), gateway(t, lazyNats, env)])
    t.same(await gauges(started), { postgresql: '0', jetstream: '0' })
    t.same((await warnings(started)).sort(), ['jetstream', 'postgresql'], 'once for each')
    t.same(await gauges(door), { jetstream: '0' })
    t.same(await warnings(door), ['jetstream'])
    await Promise.all([started.stop(), door.stop()])
  }
})
