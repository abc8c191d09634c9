import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { startNats, startPostgres, startRedis } from '@parley/local'
import { migrateTestDatabase, type Scope, startGateway, startStore, type TestProcess, temporaryFolder } from '@parley/test-kit'
import { connect, type NatsConnection } from 'nats'
import pg from 'pg'
import type { Target, Watched } from './load/protocol.ts'

export const POSTGRES_SETTINGS = { fsync: 'on', synchronous_commit: 'on' }
const SECRET = 'a-secret-of-the-bench-alone-0123456789'
/** A stream that flushes every message may have seconds of work left after a full load. */
const SETTLED_WITHIN_MS = 30_000

/** Nothing of a run is to be refused for its rate. */
const NO_LIMITS = Object.fromEntries(['MESSAGES', 'UPLOADS', 'SEARCHES', 'API', 'CONNECTS'].map(name => [`RATE_LIMIT_${name}`, 'off']))

/** Where people come in, and the processes that serve them; `server` is the one that holds the sockets. */
export interface Door {
  url: string
  watched: Watched & { server: { pid: number } }
}

export interface Servers {
  secret: string
  nats: NatsConnection
  /** As the owner of everything. */
  database: pg.Client
  /** The database of the Socket.IO baseline, beside ours on the same server. */
  socketioDatabase: pg.Client
  doors: Record<Target, Door>
  /** What the services count, by the end of its name */
  readCounters(): Promise<Record<string, number>>
  /** Resolves once nothing of the last load is left to do: what one leaves is not to be paid by the next. */
  settle(): Promise<void>
  /** Servers that have done nothing yet, beside the first ones. */
  freshDoors(scope: Scope): Promise<Record<Target, Door>>
  postgresPid: number
  /** A second gateway and a second store beside the first ones. */
  double(scope: Scope): Promise<Doubled>
  /** A message-store with a NATS and a database of its own, for a history of its own; `prepare` makes what is there before it starts. */
  apart(scope: Scope, name: string, prepare?: (database: pg.Client) => Promise<void>): Promise<Apart>
}

export interface Doubled {
  urls: string[]
  watched: Watched
  readCounters(): Promise<Record<string, number>>
}

export interface Apart {
  nats: NatsConnection
  database: pg.Client
  /** Of the store. */
  pid: number
}

/** Starts the platform and the baselines; each is a process of its own, as in production. */
export async function startServers(scope: Scope, { profileDir }: { profileDir: string | undefined }): Promise<Servers> {
  const start = async <S extends { stop(): Promise<void> }>(
    of: Scope,
    name: string,
    starting: (dataDir: string) => Promise<S>
  ): Promise<S> => {
    const server = await starting(await temporaryFolder(of, `bench-${name}`))
    of.teardown(() => server.stop())
    return server
  }
  const startOwnNats = (of: Scope) => start(of, 'nats', dataDir => startNats({ dataDir, syncAlways: true }))
  const postgres = await start(scope, 'postgres', dataDir => startPostgres({ dataDir, settings: POSTGRES_SETTINGS }))
  const nats = await startOwnNats(scope)
  const redis = await start(scope, 'redis', dataDir => startRedis({ dataDir }))
  await migrateTestDatabase(postgres.url)
  const database = await openDatabase(scope, postgres.url)
  const addDatabase = async (name: string): Promise<string> => {
    await database.query(`create database ${name}`)
    const url = new URL(postgres.url)
    url.pathname = `/${name}`
    return url.href
  }

  const env = (name: string): NodeJS.ProcessEnv => ({
    NODE_ENV: 'production',
    NATS_MONITOR_URL: nats.monitorUrl,
    ...NO_LIMITS,
    // 0 shows what sending costs where another store fills the search index.
    SEARCH_INDEX: process.env.SEARCH_INDEX ?? '1',
    ...(profileDir !== undefined && { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${profileDir} --cpu-prof-name=${name}.cpuprofile` })
  })
  const newStore = (of: Scope, instance: string, urls = { databaseUrl: postgres.url, natsUrl: nats.url }, monitorUrl = nats.monitorUrl) =>
    startStore(of, { ...urls, instance, env: { ...env(instance), NATS_MONITOR_URL: monitorUrl } })
  const newGateway = (of: Scope, instance: string) =>
    startGateway(of, { natsUrl: nats.url, redisUrl: redis.url, secret: SECRET, instance, env: env(instance) })
  const store = await newStore(scope, 'message-store')
  const gateway = await newGateway(scope, 'gateway')

  const stored = { postgres: { pid: postgres.pid, children: true } }
  const redisOnly = { redis: { pid: redis.pid } }
  const ours: Watched = { 'message-store': { pid: store.pid }, ...stored, nats: { pid: nats.pid }, ...redisOnly }
  const gatewayDoor = ({ url, pid }: TestProcess): Door => ({ url, watched: { server: { pid }, ...ours } })
  const socketioUrl = await addDatabase('socketio')
  const socketioDoor = async (of: Scope): Promise<Door> => {
    const { url, pid } = await startBaseline(of, 'socketio', { DATABASE_URL: socketioUrl, REDIS_URL: redis.url, JWT_SECRET: SECRET })
    return { url, watched: { server: { pid }, ...stored, ...redisOnly } }
  }
  const broadcastDoor = async (of: Scope): Promise<Door> => {
    const { url, pid } = await startBaseline(of, 'ws-broadcast', {})
    return { url, watched: { server: { pid } } }
  }
  const heldAndHealed = ['events_held_total', 'conversations_healed_total']

  return {
    secret: SECRET,
    nats: await openNats(scope, nats.url),
    database,
    postgresPid: postgres.pid,
    doors: { parley: gatewayDoor(gateway), socketio: await socketioDoor(scope), broadcast: await broadcastDoor(scope) },
    socketioDatabase: await openDatabase(scope, socketioUrl),
    readCounters: async () => ({
      ...(await readMetrics([gateway], heldAndHealed)),
      ...(await readMetrics([store], ['outbox_swept_total']))
    }),
    async settle() {
      const isLeft = async () => Number((await database.query('select count(*) from messaging.outbox_batches')).rows[0].count) > 0
      for (const until = Date.now() + SETTLED_WITHIN_MS; (await isLeft()) && Date.now() < until; ) await delay(50)
    },
    freshDoors: async of => ({
      parley: gatewayDoor(await newGateway(of, 'gateway-fresh')),
      socketio: await socketioDoor(of),
      broadcast: await broadcastDoor(of)
    }),
    async double(of) {
      const second = { store: await newStore(of, 'message-store-2'), gateway: await newGateway(of, 'gateway-2') }
      return {
        urls: [gateway.url, second.gateway.url],
        watched: {
          server: { pid: gateway.pid },
          'server 2': { pid: second.gateway.pid },
          'message-store 2': { pid: second.store.pid },
          ...ours
        },
        readCounters: () => readMetrics([gateway, second.gateway], heldAndHealed)
      }
    },
    async apart(of, name, prepare) {
      const databaseUrl = await addDatabase(name)
      await migrateTestDatabase(databaseUrl)
      const database = await openDatabase(of, databaseUrl)
      await prepare?.(database)
      const { url: natsUrl, monitorUrl } = await startOwnNats(of)
      const { pid } = await newStore(of, `message-store-${name}`, { databaseUrl, natsUrl }, monitorUrl)
      return { nats: await openNats(of, natsUrl), database, pid }
    }
  }
}

async function openDatabase(scope: Scope, connectionString: string): Promise<pg.Client> {
  const database = new pg.Client({ connectionString })
  // A run that is stopped ends the server under it; whoever asks it something hears of that, and the folders are removed yet.
  database.on('error', () => {})
  await database.connect()
  scope.teardown(() => database.end())
  return database
}

async function openNats(scope: Scope, servers: string): Promise<NatsConnection> {
  const connection = await connect({ servers })
  scope.teardown(() => connection.close())
  return connection
}

/** Sums of what processes count. */
async function readMetrics(processes: readonly TestProcess[], names: readonly string[]): Promise<Record<string, number>> {
  const sums = Object.fromEntries(names.map(name => [name, 0]))
  for (const { opsUrl } of processes) {
    const text = await (await fetch(`${opsUrl}/metrics`)).text()
    // What is not there must not pass for none: NaN fails every comparison.
    for (const name of names) sums[name]! += Number(new RegExp(`^\\S*${name}(?:\\{[^}]*\\})? (\\S+)$`, 'm').exec(text)?.[1])
  }
  return sums
}

export interface Baseline {
  url: string
  pid: number
}

/** Starts one of the programs in `baselines/`; it says on which port it listens. */
export async function startBaseline(scope: Scope, name: string, env: Record<string, string>): Promise<Baseline> {
  const entry = fileURLToPath(new URL(`../baselines/${name}.ts`, import.meta.url))
  const child: ChildProcess = spawn(process.execPath, [entry], {
    env: { PATH: process.env.PATH, NODE_ENV: 'production', ...env },
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
  throw new Error(`the baseline ${name} did not start`)
}
