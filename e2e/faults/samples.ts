import { readdir, readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import type { Sample } from './checker/resources.ts'
import { checkResources } from './checker/resources.ts'
import type { FaultPlatform } from './platform.ts'

const METRICS = ['sockets', 'conversations_followed', 'sends_in_hand']

/** Takes what every process of a platform holds at the moment. */
export async function takeSamples({ gateways, stores, nats, redis, database }: FaultPlatform): Promise<Sample[]> {
  const samples: Sample[] = []
  for (const { name, pid, opsUrl } of [...gateways, ...stores]) {
    const text = await metricsAt(opsUrl)
    const metrics = Object.fromEntries(
      METRICS.flatMap(what => {
        const value = new RegExp(`^parley_${what}(?:\\{[^}]*\\})? (\\S+)$`, 'm').exec(text)?.[1]
        return value === undefined ? [] : [[what, Number(value)]]
      })
    )
    samples.push({ name, counts: { ...(await processCounts(pid)), ...metrics } })
  }
  samples.push({ name: 'nats', counts: await processCounts(nats.pid) }, { name: 'redis', counts: await processCounts(redis.pid) })
  const [row] = await database.query<Record<string, number>>(
    `select (select count(*)::int from pg_stat_activity where datname = current_database() and backend_type = 'client backend') as connections,
       (select count(*)::int from pg_stat_activity where datname = current_database() and state like 'idle in transaction%') as idle_in_transaction,
       (select count(*)::int from messaging.outbox_batches) as outbox_rows`
  )
  samples.push({ name: 'postgres', counts: row! })
  return samples
}

const METRICS_MS = 20_000

/** What a process says of itself. @throws Error when it does not: without a deadline that would be waited for as long as five minutes */
export async function metricsAt(opsUrl: string): Promise<string> {
  return (await fetch(`${opsUrl}/metrics`, { signal: AbortSignal.timeout(METRICS_MS) })).text()
}

export async function processCounts(pid: number): Promise<{ rss_bytes: number; fds: number }> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  const fds = await readdir(`/proc/${pid}/fd`)
  return { rss_bytes: Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) * 1024, fds: fds.length }
}

const AGAIN_MS = 250

/** Takes samples until they are within what is allowed above the baseline, or the time is over: some things take a moment to be given back. */
export async function settledSamples(platform: FaultPlatform, before: readonly Sample[], forMs: number): Promise<Sample[]> {
  const deadline = performance.now() + forMs
  for (;;) {
    const after = await takeSamples(platform)
    if (checkResources(before, after).length === 0 || performance.now() > deadline) return after
    await delay(AGAIN_MS)
  }
}
