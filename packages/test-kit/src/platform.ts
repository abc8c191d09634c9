import { randomBytes } from 'node:crypto'
import { Client } from './client.ts'
import { type FreshDatabase, freshDatabase, migratedDatabase } from './database.ts'
import { type Person, signToken } from './people.ts'
import { startGateway, startStore, type TestProcess } from './processes.ts'
import type { Scope } from './scope.ts'
import { startTestNats, startTestRedis, type TestNats, type TestServer } from './servers.ts'
import { openSocket, type Socket, type SocketOptions } from './socket.ts'

export interface Platform {
  /** The public doors, one a gateway. */
  urls: string[]
  secret: string
  database: FreshDatabase
  nats: TestNats
  redis: TestServer
  gateways: TestProcess[]
  stores: TestProcess[]
  token(who: Person, claims?: { expires_in_seconds?: number; [claim: string]: unknown }): string
  /** The REST interface as a person uses it, through the first gateway unless another is named. */
  client(who: Person, gateway?: number): Client
  /** A person's socket, once it is ready; it is closed with the test that it is opened in. */
  connect(t: Scope, who: Person, options?: SocketOptions & { gateway?: number }): Promise<Socket>
}

/** Starts the whole platform as processes, with servers of its own. */
export async function startPlatform(
  t: Scope,
  {
    gateways: gatewayCount = 1,
    stores: storeCount = 1,
    postgres,
    demo = false,
    env: further = {}
  }: {
    gateways?: number
    stores?: number
    /** A server of the test's own, to be killed; all others share one. */
    postgres?: TestServer
    demo?: boolean
    env?: NodeJS.ProcessEnv
  } = {}
): Promise<Platform> {
  const secret = randomBytes(32).toString('base64url')
  const [database, nats, redis] = await Promise.all([
    postgres ? migratedDatabase(postgres.url) : freshDatabase(t),
    startTestNats(t),
    startTestRedis(t)
  ])
  const env = { NATS_MONITOR_URL: nats.monitorUrl, ...further }
  const [stores, gateways] = await Promise.all([
    Promise.all(
      numbers(storeCount).map(n => startStore(t, { databaseUrl: database.url, natsUrl: nats.url, instance: `message-store-${n}`, env }))
    ),
    Promise.all(
      numbers(gatewayCount).map(n =>
        startGateway(t, { natsUrl: nats.url, redisUrl: redis.url, secret, demo, instance: `gateway-${n}`, env })
      )
    )
  ])
  const urls = gateways.map(gateway => gateway.url)
  const token: Platform['token'] = (who, claims = {}) => signToken(who, { secret, ...claims })
  return {
    urls,
    secret,
    database,
    nats,
    redis,
    gateways,
    stores,
    token,
    client: (who, gateway = 0) => new Client(urls[gateway]!, token(who)),
    async connect(t, who, { gateway = 0, ...options } = {}) {
      const socket = openSocket(urls[gateway]!, token(who), options)
      t.teardown(() => socket.kill())
      await socket.ready
      return socket
    }
  }
}

const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1)
