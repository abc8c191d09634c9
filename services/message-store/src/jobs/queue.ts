import type { Database, Kysely } from '@parley/pg-kit'
import { CompiledQuery } from 'kysely'
import { PgBoss } from 'pg-boss'
import type { Tables } from '../db.ts'

/** The schema of the queue, which its library keeps. */
const SCHEMA = 'queue'
export const QUEUES = ['purge', 'erase', 'export', 'sweep'] as const
export type QueueName = (typeof QUEUES)[number]

/** Whoever has a job says so every five seconds; one that is silent for so long is another's to go on with. */
const HEARTBEAT_SECONDS = 10
/** How often is looked for the silent ones, and for what is new. */
const SUPERVISE_SECONDS = 10
const POLL_SECONDS = 2
const QUEUE = {
  heartbeatSeconds: HEARTBEAT_SECONDS,
  expireInSeconds: 23 * 3_600,
  retryLimit: 10_000,
  retryDelay: 1,
  retryBackoff: true,
  retryDelayMax: 30,
  deleteAfterSeconds: 24 * 3_600
}
const HOURLY = '0 * * * *'
const GRANTS = ['select, insert, update, delete on all tables', 'execute on all functions']

/** Makes the queue's tables, or brings them up to date, and says who works with them. As the owner, before services start. */
export async function installQueue(url: string): Promise<void> {
  const boss = new PgBoss({ connectionString: url, schema: SCHEMA, max: 1, supervise: false, schedule: false, reindex: false })
  const failures: unknown[] = []
  boss.on('error', error => failures.push(error))
  await boss.start()
  try {
    for (const name of QUEUES) {
      await boss.createQueue(name, QUEUE)
      await boss.updateQueue(name, QUEUE)
    }
    await boss.schedule('sweep', HOURLY)
    for (const grant of GRANTS) await boss.getDb().executeSql(`grant ${grant} in schema ${SCHEMA} to parley_store`)
    await boss.getDb().executeSql(`grant usage on schema ${SCHEMA} to parley_store`)
  } finally {
    await boss.stop({ graceful: false, close: true })
  }
  if (failures.length > 0) throw failures[0]
}

/** The queue as a service works with it: on its own pool, with tables that are there. */
export function openQueue(database: Database<Tables>, onError: (error: Error) => void): PgBoss {
  const boss = new PgBoss({
    db: { executeSql: (text, values) => database.pool.query(text, values) },
    schema: SCHEMA,
    migrate: false,
    reindex: false,
    monitorVacuum: false,
    superviseIntervalSeconds: SUPERVISE_SECONDS,
    monitorIntervalSeconds: SUPERVISE_SECONDS
  })
  boss.on('error', onError)
  return boss
}

/** Puts a job into the queue, in the transaction that makes it. */
export async function enqueue(boss: PgBoss, db: Kysely<Tables>, name: QueueName, id: string): Promise<void> {
  const within = {
    async executeSql(text: string, values: unknown[] = []) {
      const { rows } = await db.executeQuery<Record<string, unknown>>(CompiledQuery.raw(text, values))
      return { rows }
    }
  }
  await boss.send(name, { id }, { db: within })
}

export const WORK = { pollingIntervalSeconds: POLL_SECONDS, batchSize: 1 }
