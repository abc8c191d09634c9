import type { FastifyInstance } from 'fastify'

/** A setting of a server with which it may lose what it has acknowledged, or one that cannot be known. */
export interface UnsafeSetting {
  setting: string
  /** As the server says it. */
  value: string
  why: string
  fix: string
}

export interface DurabilityOptions {
  NODE_ENV: string
  ALLOW_UNSAFE_DURABILITY: '0' | '1'
  /** By the name that the metric has for it: reads what is unsafe, and throws where the server cannot be asked now. */
  components: Record<string, () => Promise<UnsafeSetting[]>>
  everyMs?: number
}

type Unsafe = UnsafeSetting & { component: string }

/** A server that is restarted with other settings shows within this time. */
const READ_EVERY_MS = 30_000
/** In production a server that starts at the same moment is waited for; less than the launcher waits for us. */
const PATIENCE_MS = 20_000
const RETRY_MS = 500

/**
 * Holds the servers to what the platform promises: in production it refuses to start on settings with which acknowledged
 * messages may be lost, elsewhere it says so once. `parley_durability_safe` follows what the servers say later on.
 *
 * @throws Error in production, with every unsafe setting, why it matters and how to mend it
 */
export async function guardDurability(app: FastifyInstance, options: DurabilityOptions): Promise<void> {
  const { NODE_ENV, ALLOW_UNSAFE_DURABILITY, components, everyMs = READ_EVERY_MS } = options
  const mustBeSafe = NODE_ENV === 'production' && ALLOW_UNSAFE_DURABILITY === '0'
  const gauge = app.metrics.gauge('durability_safe', 'Whether a server keeps what it acknowledges; 0 too where it cannot be asked.', {
    labels: ['component']
  })
  const deadline = Date.now() + (mustBeSafe ? PATIENCE_MS : 0)
  const told = new Map<string, string>()

  const read = async (component: string): Promise<Unsafe[]> => {
    const found = await components[component]!().catch((err: Error) => [cannotBeAsked(err)])
    gauge.set({ component }, found.length === 0 ? 1 : 0)
    return found.map(setting => ({ component, ...setting }))
  }
  const readFirst = async (component: string): Promise<Unsafe[]> => {
    let found = await read(component)
    while (found.some(({ value }) => value === UNANSWERED) && Date.now() < deadline) {
      await new Promise(resolve => setTimeout(resolve, RETRY_MS))
      found = await read(component)
    }
    return found
  }
  const tell = (component: string, found: readonly Unsafe[]): void => {
    const now = found.map(settingOf).join(', ')
    if (now === (told.get(component) ?? '')) return
    told.set(component, now)
    if (now === '') app.log.info({ component }, 'durability is safe again')
    else app.log.warn({ component, unsafe: found }, 'acknowledged messages may be lost')
  }

  const names = Object.keys(components)
  const found = await Promise.all(names.map(readFirst))
  if (mustBeSafe && found.flat().length > 0) throw new Error(refusal(found.flat()))
  for (const [index, component] of names.entries()) tell(component, found[index]!)

  let reading: Promise<unknown> = Promise.resolve()
  const timer = setInterval(() => {
    reading = Promise.all(names.map(async component => tell(component, await read(component))))
  }, everyMs)
  app.addHook('onClose', async () => {
    clearInterval(timer)
    await reading
  })
}

const UNANSWERED = 'unanswered'

const cannotBeAsked = ({ message }: Error): UnsafeSetting => ({
  setting: 'settings',
  value: UNANSWERED,
  why: message,
  fix: 'see that it runs and can be reached'
})

const settingOf = ({ component, setting, value }: Unsafe): string => `${component} ${setting} = ${value}`

function refusal(unsafe: readonly Unsafe[]): string {
  return [
    'refused with NODE_ENV=production, because acknowledged messages may be lost:',
    ...unsafe.map(found => `  ${settingOf(found)}: ${found.why}. To mend it, ${found.fix}.`),
    'ALLOW_UNSAFE_DURABILITY=1 starts all the same.'
  ].join('\n')
}
