import { until } from '@parley/test-kit'
import { type Counter, type CounterOptions, createCounting, effectsOf, runCounter } from '../../../packages/nats-kit/test/counter.ts'
import type { Trial } from '../trial.ts'

export type { Counter }

/** A durable consumer beside the load that has an effect for each change: what its effects come to is known. */
export async function startCounting({ platform, scope }: Trial, options: Partial<CounterOptions> = {}): Promise<Counter> {
  await createCounting(platform.database)
  return runCounter(scope, { natsUrl: platform.nats.url, databaseUrl: platform.database.url, ...options })
}

/** Once nobody writes: every change of every conversation has had its effect, each once. */
export async function expectEachOnce(trial: Trial, forMs = 30_000): Promise<number> {
  const { database } = trial.platform
  // A conversation begins at version 1, which is no change of it.
  const [row] = await database.query<{ changes: number }>('select sum(version - 1)::int as changes from messaging.conversations')
  const changes = row!.changes
  let effects = await effectsOf(database)
  await until(
    async () => {
      effects = await effectsOf(database)
      return effects.distinct >= changes
    },
    { timeoutMs: forMs, what: 'the consumer has had every change' }
  ).catch(() => {})
  trial.expect(effects.distinct === changes, `${effects.distinct} changes had an effect, there were ${changes}`)
  trial.expect(effects.doubled.length === 0, `${effects.doubled.length} changes had their effect twice, as ${effects.doubled[0]}`)
  return changes
}
