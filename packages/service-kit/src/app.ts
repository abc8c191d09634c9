import Fastify, { type FastifyInstance, LogController } from 'fastify'
import { pino } from 'pino'
import manifest from '../package.json' with { type: 'json' }
import { Metrics } from './metrics.ts'

/** A dependency as readiness sees it: one that is not `needed` may be away without making the service unready. */
export interface Dependency {
  needed: boolean
  check: () => boolean | Promise<boolean>
}

export interface Readiness {
  status: 'ready' | 'degraded' | 'not_ready' | 'stopping'
  dependencies: Record<string, 'up' | 'down'>
}

/** What readiness answers from: every dependency by name, and whether the process is stopping. */
export class Health {
  readonly #dependencies = new Map<string, Dependency>()
  stopping = false

  add(name: string, dependency: Dependency): void {
    this.#dependencies.set(name, dependency)
  }

  async read(): Promise<Readiness> {
    let status: Readiness['status'] = 'ready'
    const dependencies: Readiness['dependencies'] = {}
    for (const [name, { needed, check }] of this.#dependencies) {
      const isUp = await within(CHECK_MS, check)
      dependencies[name] = isUp ? 'up' : 'down'
      if (!isUp && needed) status = 'not_ready'
      else if (!isUp && status === 'ready') status = 'degraded'
    }
    return { status: this.stopping ? 'stopping' : status, dependencies }
  }
}

/** A dependency that does not answer is away: whoever asks for readiness must not wait for its timeouts. */
const CHECK_MS = 2_000

async function within(ms: number, check: () => boolean | Promise<boolean>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<boolean>(resolve => {
    timer = setTimeout(() => resolve(false), ms)
  })
  const answer = Promise.resolve()
    .then(check)
    .catch(() => false)
  return Promise.race([answer, late]).finally(() => clearTimeout(timer))
}

declare module 'fastify' {
  interface FastifyInstance {
    health: Health
    metrics: Metrics
  }
}

/** Never in a log: tokens, however they came. */
const REDACT = ['req.headers.authorization', 'headers.authorization', 'token', '*.token']

/**
 * The frame of a service: its logger, its health and metrics on the ops port, and the place where kits and endpoints
 * are registered. What is registered first closes last.
 */
export function createApp(service: string, { level, instance }: { level: string; instance: string }): FastifyInstance {
  const logger = pino({
    level,
    base: { service, version: manifest.version, ...(instance && { instance }), pid: process.pid },
    redact: REDACT
  })
  const app = Fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    forceCloseConnections: true,
    // A plugin waits up to 10 s for its server and then says which one is away; at the framework's own 10 s it would say nothing of it.
    pluginTimeout: 30_000
  })
  const health = new Health()
  const metrics = new Metrics(service)
  app.decorate('health', health)
  app.decorate('metrics', metrics)

  app.addHook('preClose', done => {
    health.stopping = true
    done()
  })
  app.get('/health/live', () => ({ status: 'live' }))
  app.get('/health/ready', async (_, reply) => {
    const readiness = await health.read()
    return reply.code(isReady(readiness) ? 200 : 503).send(readiness)
  })
  app.get('/metrics', async (_, reply) => reply.type(metrics.registry.contentType).send(await metrics.registry.metrics()))
  return app as unknown as FastifyInstance
}

export const isReady = ({ status }: Readiness): boolean => status === 'ready' || status === 'degraded'
