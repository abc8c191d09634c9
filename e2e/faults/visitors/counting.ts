import { until } from '@parley/test-kit'
import {
  type Counter,
  type CounterOptions,
  createCounting,
  effectsOf,
  runCounter,
  SCHEMA
} from '../../../packages/nats-kit/test/counter.ts'
import type { Trial } from '../trial.ts'

export type { Counter }

/** A durable consumer beside the load that has an effect for each change: what its effects come to is known. */
export async function startCounting({ platform, scope }: Trial, options: Partial<CounterOptions> = {}): Promise<Counter> {
  const [known] = await platform.database.query<{ there: boolean }>(`select to_regnamespace('${SCHEMA}') is not null as there`)
  if (!known!.there) await createCounting(platform.database)
  return runCounter(scope, { natsUrl: platform.nats.url, databaseUrl: platform.database.url, ...options })
}

/** Every change that stands now has had its effect, and none of all has had it twice. */
export async function expectEachOnce(trial: Trial, forMs = 30_000): Promise<number> {
  const { database } = trial.platform
  const heads = await database.query<{ id: string; version: number }>('select id, version::int from messaging.conversations')
  // A conversation begins at version 1, which is no change of it.
  const missing = ({ orders }: Awaited<ReturnType<typeof effectsOf>>) =>
    heads.flatMap(({ id, version }) => {
      const had = new Set(orders.get(id))
      return Array.from({ length: version - 1 }, (_, n) => n + 2).flatMap(change => (had.has(change) ? [] : [`${id} ${change}`]))
    })
  let effects = await effectsOf(database)
  await until(
    async () => {
      effects = await effectsOf(database)
      return missing(effects).length === 0
    },
    { timeoutMs: forMs, what: 'the consumer has had every change' }
  ).catch(() => {})
  const left = missing(effects)
  trial.expect(left.length === 0, `${left.length} changes had no effect, as ${left[0]}`)
  trial.expect(effects.doubled.length === 0, `${effects.doubled.length} changes had their effect twice, as ${effects.doubled[0]}`)
  return effects.total
}
