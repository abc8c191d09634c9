import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

/** A wish that cannot be met; its message is one sentence for the person at the terminal. */
export class Refusal extends Error {}

export const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

export interface Settings {
  host: string
  port: number
  dataDir: string
  /** Servers that are there already; what is missing is started. */
  databaseUrl: string | undefined
  natsUrl: string | undefined
  natsMonitorUrl: string | undefined
  redisUrl: string | undefined
  /** Undefined: one is made and kept, unless keys come from `jwksUrl`. */
  jwtSecretKey: string | undefined
  jwksUrl: string | undefined
  demo: boolean
  /** Instances for each service that shall not run once. */
  scale: Map<string, number>
  /** What the services inherit. Where the database is, is for its owner alone. */
  env: NodeJS.ProcessEnv
}

const MAX_INSTANCES = 20

/**
 * Reads the launcher's arguments and environment, for the services named.
 *
 * @throws Refusal for the first thing that makes no sense
 */
export function readSettings(args: string[], environment: NodeJS.ProcessEnv, services: string[]): Settings {
  const given = (name: string) => environment[name] || undefined
  return {
    host: given('HOST') ?? '127.0.0.1',
    port: readPort(given('PORT') ?? '3000'),
    dataDir: resolve(ROOT, given('PARLEY_DATA_DIR') ?? '.parley'),
    databaseUrl: given('DATABASE_URL'),
    natsUrl: given('NATS_URL'),
    natsMonitorUrl: given('NATS_MONITOR_URL'),
    redisUrl: given('REDIS_URL'),
    jwtSecretKey: given('JWT_SECRET_KEY'),
    jwksUrl: given('JWT_JWKS_URL'),
    demo: readDemo(given('DEMO'), given('NODE_ENV') === 'production'),
    scale: readScale(args, services),
    env: Object.fromEntries(Object.entries(environment).filter(([name]) => !name.startsWith('npm_') && name !== 'DATABASE_URL'))
  }
}

function readPort(text: string): number {
  const port = Number(text)
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw new Refusal(`PORT is a number from 1 to 65535, not ${text}`)
  return port
}

function readDemo(text: string | undefined, production: boolean): boolean {
  if (text === undefined) return !production
  if (text !== '0' && text !== '1') throw new Refusal(`DEMO is 0 or 1, not ${text}`)
  if (text === '1' && production) {
    throw new Refusal('DEMO=1 lets anybody sign in as anybody and is refused with NODE_ENV=production: unset one of the two')
  }
  return text === '1'
}

function readScale(args: string[], services: string[]): Map<string, number> {
  const scale = new Map<string, number>()
  for (let index = 0; index < args.length; index++) {
    const arg = args[index]!
    const isScale = arg === '--scale' || arg.startsWith('--scale=')
    if (!isScale) throw new Refusal(`unknown argument ${arg}: there is only --scale <service>=<number>`)
    const wish = arg === '--scale' ? (args[++index] ?? '') : arg.slice('--scale='.length)
    const [, service, number] = /^([^=]+)=(\d+)$/.exec(wish) ?? []
    if (!service) throw new Refusal(`--scale takes <service>=<number>, such as gateway=2, not "${wish}"`)
    if (!services.includes(service)) throw new Refusal(`--scale knows no service ${service}: there are ${services.join(', ')}`)
    const count = Number(number)
    if (count < 1 || count > MAX_INSTANCES) throw new Refusal(`--scale ${service} takes a number from 1 to ${MAX_INSTANCES}, not ${number}`)
    scale.set(service, count)
  }
  return scale
}
