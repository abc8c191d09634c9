import { type Static, type TObject, type TSchema, Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'

/** Settings that every service has. */
export const COMMON = {
  OPS_PORT: Type.Integer({ default: 0, minimum: 0, maximum: 65_535, description: 'Health and metrics; 0 takes a free port.' }),
  OPS_HOST: Type.String({ default: '127.0.0.1', description: 'Address of the ops port; never the public one.' }),
  LOG_LEVEL: Type.String({ default: 'info', pattern: '^(trace|debug|info|warn|error|fatal|silent)$', description: 'How much is logged.' }),
  PARLEY_INSTANCE: Type.String({ default: '', description: 'Name of this process in logs, such as gateway-1.' }),
  NATS_URL: Type.String({
    default: 'nats://127.0.0.1:4222',
    pattern: '^(nats|tls)://',
    description: 'Where NATS is; several separated by commas.'
  }),
  NATS_MONITOR_URL: Type.String({
    default: '',
    pattern: '^(https?://.*)?$',
    description: 'Monitoring address of each NATS server, such as http://nats:8222: tells whether it flushes what it acknowledges.'
  }),
  NODE_ENV: Type.String({ default: 'development', description: '`production` refuses what is only safe on a laptop.' }),
  ALLOW_UNSAFE_DURABILITY: Type.Union([Type.Literal('0'), Type.Literal('1')], {
    default: '0',
    description: '1 starts in production on servers that may lose acknowledged messages.'
  })
}

/** Converting would cut 5.7 down to 5 and take `true` for 1; left as text it is a fault. */
const isPart = (property: TSchema, value: string): boolean => property.type === 'integer' && !/^-?\d+$/.test(value)

/**
 * Reads the settings from the environment, the one place that does, and freezes them. An empty variable counts as absent.
 *
 * @throws Error that lists every fault, one a line
 */
export function loadConfig<S extends TObject>(schema: S, env: NodeJS.ProcessEnv = process.env): Readonly<Static<S>> {
  const given: Record<string, unknown> = {}
  for (const [name, property] of Object.entries<TSchema>(schema.properties)) {
    const value = env[name]
    if (value !== undefined && value !== '') given[name] = isPart(property, value) ? value : Value.Convert(property, value)
    else if (property.default !== undefined) given[name] = property.default
  }
  const faults = [...Value.Errors(schema, given)]
    // A missing property is reported twice: as missing and as of the wrong type.
    .filter((fault, index, all) => all.findIndex(other => other.path === fault.path) === index)
    .map(fault => {
      const property: TSchema | undefined = schema.properties[fault.path.slice(1)]
      return `  ${fault.path.slice(1)}: ${fault.message.replace(/^Expected/, 'must be').toLowerCase()}. ${property?.description ?? ''}`
    })
  if (faults.length > 0) throw new Error(`the settings are not usable:\n${faults.join('\n')}`)
  return Object.freeze(given as Static<S>)
}
