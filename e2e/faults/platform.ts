import { randomBytes } from 'node:crypto'
import {
  Client,
  type FreshDatabase,
  migratedDatabase,
  type Person,
  type Scope,
  signToken,
  startGateway,
  startStore,
  startTestNats,
  startTestPostgres,
  startTestRedis,
  type TestProcess,
  type TestServer
} from '@parley/test-kit'
import { type Link, startLink } from './proxy.ts'

/** Where links stand: each may be slowed, cut, silenced or corrupted while the platform runs. */
export type LinkPlace = 'clients' | 'gateway-nats' | 'store-nats' | 'store-postgres'

export interface PlatformOptions {
  gateways?: number
  stores?: number
  /** None by default: a link costs a hop through the harness. */
  links?: readonly LinkPlace[]
  /** Settings of PostgreSQL; durable ones by default. */
  postgres?: Record<string, string>
  env?: NodeJS.ProcessEnv
}

export interface FaultPlatform {
  /** Where clients reach each gateway; by its link where there is one. */
  urls: string[]
  database: FreshDatabase
  postgres: TestServer
  nats: TestServer
  redis: TestServer
  gateways: TestProcess[]
  stores: TestProcess[]
  /** The links of a place, one a gateway or store, in their order; empty where none were asked for. */
  links: Readonly<Record<LinkPlace, Link[]>>
  token(who: Person): string
  client(who: Person, gateway?: number): Client
  /** A store more, in the same queue group. */
  startStore(scope: Scope, options: { instance: string; env?: NodeJS.ProcessEnv }): Promise<TestProcess>
}

/** A load is above what people do: nothing of a run is to be refused for its rate. */
const NO_LIMITS = Object.fromEntries(['MESSAGES', 'UPLOADS', 'SEARCHES', 'API', 'CONNECTS'].map(name => [`RATE_LIMIT_${name}`, 'off']))

/** Starts the whole platform as processes, every server its own, so that each can be killed. */
export async function startFaultPlatform(
  t: Scope,
  { gateways: gatewayCount = 2, stores: storeCount = 2, links: places = [], postgres: settings = {}, env = {} }: PlatformOptions = {}
): Promise<FaultPlatform> {
  const secret = randomBytes(32).toString('base64url')
  const [postgres, nats, redis] = await Promise.all([startTestPostgres(t, { settings }), startTestNats(t), startTestRedis(t)])
  const database = await migratedDatabase(postgres.url)
  const links: Record<LinkPlace, Link[]> = { clients: [], 'gateway-nats': [], 'store-nats': [], 'store-postgres': [] }
  const by = async (place: LinkPlace, url: string): Promise<string> => {
    if (!places.includes(place)) return url
    const link = await startLink(t, url)
    links[place].push(link)
    return link.url
  }
  const allEnv = { ...NO_LIMITS, ...env }
  const storeUrls = async () => ({
    databaseUrl: await by('store-postgres', postgres.url),
    natsUrl: await by('store-nats', nats.url)
  })
  const startAll = async <T>(count: number, start: (n: number) => Promise<() => Promise<T>>): Promise<T[]> => {
    const starters: (() => Promise<T>)[] = []
    // One after the other, so that links stand in the order of what they belong to.
    for (let n = 1; n <= count; n++) starters.push(await start(n))
    return Promise.all(starters.map(starter => starter()))
  }
  const [stores, gateways] = await Promise.all([
    startAll(storeCount, async n => {
      const urls = await storeUrls()
      return () => startStore(t, { ...urls, instance: `message-store-${n}`, env: allEnv })
    }),
    startAll(gatewayCount, async n => {
      const natsUrl = await by('gateway-nats', nats.url)
      return () => startGateway(t, { natsUrl, redisUrl: redis.url, secret, instance: `gateway-${n}`, env: allEnv })
    })
  ])
  const urls: string[] = []
  for (const gateway of gateways) urls.push(await by('clients', gateway.url))
  const token = (who: Person) => signToken(who, { secret, expires_in_seconds: 24 * 3_600 })
  return {
    urls,
    database,
    postgres,
    nats,
    redis,
    gateways,
    stores,
    links,
    token,
    client: (who, gateway = 0) => new Client(urls[gateway]!, token(who)),
    startStore: (scope, { instance, env: more = {} }) =>
      startStore(scope, { databaseUrl: postgres.url, natsUrl: nats.url, instance, env: { ...allEnv, ...more } })
  }
}
