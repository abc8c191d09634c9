import fp from 'fastify-plugin'
import { Redis } from 'ioredis'

declare module 'fastify' {
  interface FastifyInstance {
    redis: Redis
  }
}

/**
 * Connects to Redis as `app.redis`, in the background: Redis holds nothing that is the only copy, so a service starts
 * and goes on without it. A command fails at once while it is away, and after 250 ms when it does not answer.
 */
export const redisKit = fp<{ url: string }>(
  async (app, { url }) => {
    const redis = new Redis(url, {
      enableOfflineQueue: false,
      maxRetriesPerRequest: 1,
      commandTimeout: 250,
      retryStrategy: attempt => Math.min(attempt * 100, 2_000)
    })
    let isAway = false
    redis.on('error', err => {
      if (!isAway) app.log.warn({ err }, 'redis is away')
      isAway = true
    })
    redis.on('ready', () => {
      if (isAway) app.log.info('redis is back')
      isAway = false
    })
    app.decorate('redis', redis)
    app.addHook('onClose', () => redis.disconnect())
  },
  { name: 'redis' }
)
