import { setTimeout as delay } from 'node:timers/promises'
import type { TestProcess } from '@parley/test-kit'
import pg from 'pg'
import type { Sender } from '../client/sender.ts'
import { metricsAt, processCounts } from '../samples.ts'
import type { Trial } from '../trial.ts'

/** From here on: what sends took until they were acknowledged, all tries together. */
export function sendTimes(senders: readonly Sender[]): { count(): number; all(): number[] } {
  const begins = senders.map(({ latencies }) => latencies.length)
  return {
    count: () => senders.reduce((sum, { latencies }, n) => sum + latencies.length - begins[n]!, 0),
    all: () => senders.flatMap(({ latencies }, n) => latencies.slice(begins[n]))
  }
}

const DATABASE_EVERY_MS = 25
const PROCESS_EVERY_MS = 100

/** Looks at the database while a case runs: connections of each service, and who waits for a lock how long. */
export class DatabaseWatch {
  /** The most connections at a time, by application. */
  readonly connections = new Map<string, number>()
  /** How long the longest wait for a lock was at each look, in ms; looks that found none are in it as 0. */
  readonly lockWaits: number[] = []
  readonly #client: pg.Client
  #isOver = false
  #looking: Promise<void> = Promise.resolve()

  /** Use `watchDatabase`. */
  constructor(client: pg.Client) {
    this.#client = client
  }

  begin(): void {
    this.#looking = this.#look()
  }

  async #look(): Promise<void> {
    while (!this.#isOver) {
      const { rows } = await this.#client.query<{ application: string; connections: number; lock_ms: number }>(
        `select application_name as application, count(*)::int as connections,
           (select coalesce(max(extract(epoch from clock_timestamp() - waitstart)) * 1000, 0)::float8 from pg_locks where not granted) as lock_ms
         from pg_stat_activity where datname = current_database() and backend_type = 'client backend' group by 1`
      )
      for (const { application, connections } of rows) {
        this.connections.set(application, Math.max(connections, this.connections.get(application) ?? 0))
      }
      this.lockWaits.push(rows[0]?.lock_ms ?? 0)
      await delay(DATABASE_EVERY_MS)
    }
  }

  async deadlocks(): Promise<number> {
    const { rows } = await this.#client.query('select deadlocks::int from pg_stat_database where datname = current_database()')
    return rows[0].deadlocks
  }

  async end(): Promise<void> {
    if (this.#isOver) return
    this.#isOver = true
    await this.#looking.catch(() => {})
    await this.#client.end()
  }
}

export async function watchDatabase({ platform, scope }: Trial): Promise<DatabaseWatch> {
  const client = new pg.Client({ connectionString: platform.database.url, application_name: 'faults' })
  client.on('error', () => {})
  await client.connect()
  const watch = new DatabaseWatch(client)
  scope.teardown(() => watch.end())
  watch.begin()
  return watch
}

/** Pools of one message-store: those that answer people, the service's own, and what it does in the background. */
export const STORE_CONNECTIONS_MAX = 10 + 4 + 4

/** Holds that no message-store had more connections than its pools may have. */
export function expectPoolBounds(trial: Trial, watch: DatabaseWatch): void {
  for (const { name } of trial.platform.stores) {
    const most = watch.connections.get(name) ?? 0
    trial.expect(most > 0, `no connection of ${name} was seen`)
    trial.expect(most <= STORE_CONNECTIONS_MAX, `${name} had ${most} connections to the database, its pools have ${STORE_CONNECTIONS_MAX}`)
  }
  trial.measured.set('database connections', [...watch.connections].map(([name, most]) => `${name} ${most}`).join(', '))
}

/** What a process says of itself. */
export async function metricOf({ opsUrl }: TestProcess, name: string): Promise<number> {
  const text = await metricsAt(opsUrl)
  return Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'm').exec(text)?.[1])
}

/** Memory of a process while a case runs. */
export class MemoryWatch {
  readonly rss: number[] = []
  /** What its heap and its buffers take. */
  readonly heap: number[] = []
  readonly #process: TestProcess
  #isOver = false
  readonly #looking: Promise<void>

  constructor(process: TestProcess) {
    this.#process = process
    this.#looking = this.#look()
    this.#looking.catch(() => {})
  }

  async #look(): Promise<void> {
    while (!this.#isOver) {
      await this.take()
      await delay(PROCESS_EVERY_MS)
    }
  }

  async take(): Promise<void> {
    const { rss_bytes } = await processCounts(this.#process.pid)
    this.rss.push(rss_bytes)
    const text = await metricsAt(this.#process.opsUrl)
    const read = (name: string) => Number(new RegExp(`^${name}\\S* (\\S+)$`, 'm').exec(text)?.[1])
    this.heap.push(read('nodejs_heap_size_used_bytes') + read('nodejs_external_memory_bytes'))
  }

  async end(): Promise<this> {
    this.#isOver = true
    await this.#looking
    return this
  }
}

const MEBIBYTE = 1024 * 1024
export const mebibytes = (bytes: number): number => Math.round((bytes / MEBIBYTE) * 10) / 10
