import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { startNats, startPostgres, startRedis } from '@parley/local'
import { migrateTestDatabase, type Scope, startGateway, startStore, type TestProcess, temporaryFolder } from '@parley/test-kit'
import { connect, type NatsConnection } from 'nats'
import pg from 'pg'
import type { Watched } from './load/protocol.ts'

const BASELINE = fileURLToPath(new URL('../baselines/ws-broadcast.ts', import.meta.url))

export const POSTGRES_SETTINGS = { fsync: 'on', synchronous_commit: 'on' }
const SECRET = 'a-secret-of-the-bench-alone-0123456789'

/** Nothing of a run is to be refused for its rate. */
const NO_LIMITS = Object.fromEntries(['MESSAGES', 'UPLOADS', 'SEARCHES', 'API', 'CONNECTS'].map(name => [`RATE_LIMIT_${name}`, 'off']))

export interface Servers {
  secret: string
  nats: NatsConnection
  /** As the owner of everything. */
  database: pg.Client
  gateway: TestProcess
  baseline: Baseline
  watched: Watched
  /** What the services count, by the end of its name */
  readCounters(): Promise<Record<string, number>>
  /** A gateway that has done nothing yet, beside the first one. */
  freshGateway(scope: Scope): Promise<TestProcess>
}

/** Starts the platform and the baseline; each is a process of its own, as in production. */
export async function startServers(scope: Scope, { profileDir }: { profileDir: string | undefined }): Promise<Servers> {
  const start = async <S extends { stop(): Promise<void> }>(name: string, starting: (dataDir: string) => Promise<S>): Promise<S> => {
    const server = await starting(await temporaryFolder(scope, `bench-${name}`))
    scope.teardown(() => server.stop())
    return server
  }
  const postgres = await start('postgres', dataDir => startPostgres({ dataDir, settings: POSTGRES_SETTINGS }))
  const nats = await start('nats', dataDir => startNats({ dataDir, syncAlways: true }))
  const redis = await start('redis', dataDir => startRedis({ dataDir }))
  await migrateTestDatabase(postgres.url)

  const env = (name: string): NodeJS.ProcessEnv => ({
    NODE_ENV: 'production',
    ...NO_LIMITS,
    ...(profileDir !== undefined && { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${profileDir} --cpu-prof-name=${name}.cpuprofile` })
  })
  const servers = { natsUrl: nats.url, redisUrl: redis.url, secret: SECRET }
  const store = await startStore(scope, { databaseUrl: postgres.url, natsUrl: nats.url, env: env('message-store') })
  const gateway = await startGateway(scope, { ...servers, env: env('gateway') })

  const database = new pg.Client({ connectionString: postgres.url })
  await database.connect()
  scope.teardown(() => database.end())
  const connection = await connect({ servers: nats.url })
  scope.teardown(() => connection.close())
  return {
    secret: SECRET,
    nats: connection,
    database,
    gateway,
    baseline: await startBaseline(scope),
    watched: {
      gateway: { pid: gateway.pid },
      'message-store': { pid: store.pid },
      postgres: { pid: postgres.pid, children: true },
      nats: { pid: nats.pid },
      redis: { pid: redis.pid }
    },
    readCounters: async () => ({
      ...(await readMetrics(gateway, ['events_held_total', 'conversations_healed_total'])),
      ...(await readMetrics(store, ['outbox_swept_total']))
    }),
    freshGateway: freshScope => startGateway(freshScope, { ...servers, instance: 'gateway-fresh', env: env('gateway-fresh') })
  }
}

async function readMetrics({ opsUrl }: TestProcess, names: string[]): Promise<Record<string, number>> {
  const text = await (await fetch(`${opsUrl}/metrics`)).text()
  return Object.fromEntries(names.map(name => [name, Number(new RegExp(`^\\S*${name}(?:\\{[^}]*\\})? (\\S+)$`, 'm').exec(text)?.[1])]))
}

export interface Baseline {
  url: string
  pid: number
}

export async function startBaseline(scope: Scope): Promise<Baseline> {
  const child: ChildProcess = spawn(process.execPath, [BASELINE], {
    env: { PATH: process.env.PATH, NODE_ENV: 'production' },
    stdio: ['ignore', 'pipe', 'inherit', 'ipc']
  })
  const gone = once(child, 'exit')
  scope.teardown(async () => {
    child.kill()
    await gone
  })
  for await (const line of createInterface(child.stdout!)) {
    const port = /^listening on (\d+)$/.exec(line)?.[1]
    if (port) return { url: `http://127.0.0.1:${port}`, pid: child.pid! }
  }
  throw new Error('the baseline did not start')
}
