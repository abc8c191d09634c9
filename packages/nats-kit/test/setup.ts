import { type Scope, startTestNats, type TestServer } from '@parley/test-kit'
import Fastify, { type FastifyInstance } from 'fastify'
import { type Bus, natsKit } from '../src/index.ts'

export interface Peer {
  app: FastifyInstance
  bus: Bus
}

/** Gives a NATS server and services on it, each with a connection of its own. */
export async function setup(t: Scope): Promise<{ nats: TestServer; join: (service: string) => Promise<Peer> }> {
  const nats = await startTestNats(t)
  return {
    nats,
    async join(service) {
      const app = Fastify()
      await app.register(natsKit, { url: nats.url, service })
      await app.ready()
      t.teardown(() => app.close())
      return { app, bus: app.bus }
    }
  }
}
