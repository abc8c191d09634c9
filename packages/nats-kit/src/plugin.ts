import { STREAMS } from '@parley/contracts'
import fp from 'fastify-plugin'
import { type ConnectionOptions, connect, DiscardPolicy, type NatsConnection, RetentionPolicy, StorageType } from 'nats'
import { Bus } from './bus.ts'

declare module 'fastify' {
  interface FastifyInstance {
    bus: Bus
  }
}

/**
 * Connects to NATS as `app.bus`. Closing waits for the work in hand.
 *
 * @throws Error where NATS cannot be reached within 10 s (15 where it says nothing at all)
 */
export const natsKit = fp<{ url: string; service: string; instance?: string }>(
  async (app, { url, service, instance }) => {
    const options: ConnectionOptions = {
      servers: url.split(','),
      name: instance || service,
      // About 1.7 times the requests a second and half the CPU of each: no stack trace is captured per request.
      noAsyncTraces: true,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 200,
      reconnectJitter: 100,
      pingInterval: 5_000,
      maxPingOut: 2,
      // Of each attempt, also to connect again: one that meets silence hides for so long that the server is back.
      timeout: 5_000
    }
    const connection = await connectInTime(options, err => app.log.warn({ err }, 'nats cannot be reached yet')).catch(cause => {
      throw new Error(`NATS cannot be reached at ${url.replace(/\/\/.*@/, '//')}: ${cause.message}. Is it running?`, { cause })
    })
    const bus = new Bus(connection, service, app.log)
    app.decorate('bus', bus)
    app.addHook('onClose', () => bus.close())
  },
  { name: 'nats' }
)

const PATIENCE_MS = 10_000
const RETRY_MS = 250

/**
 * The library tries a server once: a service that starts a moment before it would end, and be started again, and end again.
 *
 * @param onFirstFailure called once, with what the first attempt failed of
 */
async function connectInTime(options: ConnectionOptions, onFirstFailure: (error: Error) => void): Promise<NatsConnection> {
  const deadline = Date.now() + PATIENCE_MS
  for (let attempt = 1; ; attempt++) {
    try {
      return await connect(options)
    } catch (error) {
      const { code = '', message } = error as { code?: string; message: string }
      // A server that refuses us is there: waiting changes nothing.
      if (/AUTH/.test(code) || Date.now() + RETRY_MS >= deadline) throw error
      if (attempt === 1) onFirstFailure(new Error(message, { cause: error }))
      await new Promise(resolve => setTimeout(resolve, RETRY_MS))
    }
  }
}

/** Makes or updates every stream of the contracts. Safe to call by many at once. */
export async function ensureStreams(connection: NatsConnection): Promise<void> {
  const manager = await connection.jetstreamManager()
  for (const { name, subjects, maxAgeHours, maxBytes, maxMessageBytes } of STREAMS) {
    const config = {
      subjects: [...subjects],
      retention: RetentionPolicy.Limits,
      discard: DiscardPolicy.Old,
      max_age: maxAgeHours * 3_600 * 1e9,
      max_bytes: maxBytes,
      max_msg_size: Math.min(maxMessageBytes, connection.info?.max_payload ?? maxMessageBytes)
    }
    await manager.streams.add({ name, storage: StorageType.File, ...config }).catch(error => {
      if (error.api_error?.err_code !== STREAM_NAME_IN_USE) throw error
      return manager.streams.update(name, config)
    })
  }
}

const STREAM_NAME_IN_USE = 10_058
