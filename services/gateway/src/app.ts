import { check, GetHeads, UserDeactivated } from '@parley/contracts'
import { natsKit, unsafeJetStream } from '@parley/nats-kit'
import { redisKit } from '@parley/redis-kit'
import { createApp, guardDurability } from '@parley/service-kit'
import type { FastifyInstance } from 'fastify'
import { createRoutes } from './call.ts'
import { type Config, checkConfig } from './config.ts'
import { Directory } from './directory.ts'
import { createDoor } from './door.ts'
import { docs } from './plugins/docs.ts'
import { health as healthRoutes } from './plugins/health.ts'
import { web } from './plugins/web.ts'
import { conversations } from './routes/conversations.ts'
import { demo } from './routes/demo.ts'
import { live } from './routes/live.ts'
import { messages } from './routes/messages.ts'
import { people } from './routes/people.ts'
import { projects } from './routes/projects.ts'
import { scheduled } from './routes/scheduled.ts'
import { search } from './routes/search.ts'
import { Sends } from './sends.ts'
import { createCommands } from './socket/commands.ts'
import { Hub } from './socket/hub.ts'
import { socketRoute } from './socket/route.ts'
import { Sockets } from './socket/sockets.ts'
import { Turn } from './socket/turn.ts'
import { Tickets } from './tickets.ts'
import { Tokens } from './tokens.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** The public door, for tests that come through it. */
    door: FastifyInstance
  }
}

export async function buildApp(config: Config): Promise<FastifyInstance> {
  checkConfig(config)
  const app = createApp('gateway', { level: config.LOG_LEVEL, instance: config.PARLEY_INSTANCE })
  const { log, health, metrics } = app

  // Closed in reverse: the door with its sockets and requests in hand, then NATS, then Redis.
  await app.register(redisKit, { url: config.REDIS_URL })
  await app.register(natsKit, { url: config.NATS_URL, service: 'gateway', instance: config.PARLEY_INSTANCE })
  const { bus, redis } = app
  await guardDurability(app, { ...config, components: { jetstream: () => unsafeJetStream(bus, config.NATS_MONITOR_URL) } })
  health.add('nats', { needed: true, check: () => bus.isConnected })
  health.add('message_store', {
    needed: true,
    check: async () => (await bus.request(GetHeads, { conversation_ids: [] })).versions.length === 0
  })
  health.add('redis', { needed: false, check: async () => (await redis.ping()) === 'PONG' })

  const held = metrics.counter('events_held_total', 'Events that came before an earlier one; normal with several stores.')
  const healed = metrics.counter('conversations_healed_total', 'Holes that had to be filled from the store; without a fault an alarm.')
  const hub = new Hub(bus, new Turn(), log, { held: () => held.inc(), healed: () => healed.inc() })
  const retried = metrics.counter('sends_retried_total', 'Sends that were asked again, because a store had not answered.')
  const sends = new Sends(bus, count => retried.inc(count))
  const tokens = new Tokens(config)
  const directory = new Directory(bus)
  bus.subscribe(UserDeactivated.subject({}), ({ data }) => {
    const payload: unknown = JSON.parse(Buffer.from(data).toString())
    check(UserDeactivated.payload, payload)
    const { user_id, org_id } = payload
    directory.forget(user_id, org_id)
    hub.revoke(user_id, org_id)
  })
  const tickets = new Tickets(redis)
  const sockets = new Sockets(
    { hub, tokens, directory, commands: createCommands({ bus, hub, sends }), log },
    { drainWindowMs: config.DRAIN_WINDOW_MS }
  )
  metrics.gauge('sockets', 'Open sockets.', () => sockets.size)
  metrics.gauge('sockets_slow', 'Sockets whose clients do not take what they are sent.', () => hub.size.slow)
  metrics.gauge('conversations_followed', 'Conversations that this gateway follows.', () => hub.size.conversations)
  metrics.gauge(
    'hole_patience_seconds',
    'How long a missing event is waited for before the store is asked for it.',
    () => hub.patience.ms(performance.now()) / 1_000
  )
  metrics.gauge('sends_in_hand', 'Sends that wait for their acknowledgement.', () => sends.inHand)

  const door = await createDoor(config, log)
  // While the sockets are sent away a connection that stands gets its last answer: its next request goes elsewhere.
  door.addHook('onSend', (_, reply, payload, done) => {
    if (sockets.isClosing) reply.header('connection', 'close')
    done(null, payload)
  })
  const route = createRoutes(door, { tokens, directory })
  await socketRoute(door, { config, sockets, tickets })
  // Without a secret there is nothing to sign the demo's tokens with.
  const isDemo = config.DEMO === '1' && config.JWT_SECRET_KEY !== ''
  people(route, bus, { demo: isDemo })
  projects(route, bus)
  conversations(route, bus)
  messages(route, bus, sends)
  live(route, bus, tickets)
  scheduled(route, bus)
  search(route, bus)
  if (isDemo) demo(route, bus, config)
  healthRoutes(door, health)
  docs(door)
  await web(door, config.WEB_ROOT)
  app.decorate('door', door)

  app.addHook('onReady', async () => {
    await door.listen({ port: config.PORT, host: config.HOST })
  })
  // Readiness and requests are answered while the sockets are sent away: not every client has heard yet that we stop.
  app.addHook('preClose', () => sockets.close())
  app.addHook('onClose', async () => {
    await door.close()
    hub.close()
  })
  return app
}
