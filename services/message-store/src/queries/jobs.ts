import type { Job, JobKind } from '@parley/contracts'
import { type Kysely, sql } from '@parley/pg-kit'
import type { Tables } from '../db.ts'

export interface JobRow {
  id: string
  org_id: string
  kind: JobKind
  status: Job['status']
  subject_id: string | null
  params: Record<string, unknown>
  cursor: Record<string, unknown>
  result: Record<string, number>
  done: number
  total: number
  attempts: number
  error: string | null
  created_at: string
  started_at: string | null
  finished_at: string | null
  expires_at: string | null
}

const COLUMNS = [
  'id',
  'org_id',
  'kind',
  'status',
  'subject_id',
  'params',
  'cursor',
  'result',
  'done',
  'total',
  'attempts',
  'error',
  'created_at',
  'started_at',
  'finished_at',
  'expires_at'
] as const

export async function insertJob(
  db: Kysely<Tables>,
  job: { id: string; org_id: string; kind: JobKind; subject_id: string | null; params: object; created_by: string; at: string }
): Promise<void> {
  const { at, params, ...row } = job
  await db
    .insertInto('jobs')
    .values({ ...row, params: JSON.stringify(params), created_at: at, updated_at: at })
    .execute()
}

export async function findJob(db: Kysely<Tables>, org_id: string, id: string): Promise<JobRow | undefined> {
  const row = await db.selectFrom('jobs').select(COLUMNS).where('id', '=', id).where('org_id', '=', org_id).executeTakeFirst()
  return row as JobRow | undefined
}

/** The erasure of a person that there is already; one that failed is another one's to do again. */
export async function findErasure(db: Kysely<Tables>, org_id: string, user_id: string): Promise<JobRow | undefined> {
  const row = await db
    .selectFrom('jobs')
    .select(COLUMNS)
    .where('org_id', '=', org_id)
    .where('kind', '=', 'erase')
    .where('subject_id', '=', user_id)
    .where('status', '<>', 'failed')
    .limit(1)
    .executeTakeFirst()
  return row as JobRow | undefined
}

export async function countUnfinished(db: Kysely<Tables>, org_id: string): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select count(*) as count from jobs where org_id = ${org_id} and finished_at is null`.execute(db)
  return rows[0]!.count
}

/** Takes a job until the end of the transaction: its next step is done by one process alone. */
export async function lockJob(db: Kysely<Tables>, id: string): Promise<JobRow | undefined> {
  const row = await db.selectFrom('jobs').select(COLUMNS).where('id', '=', id).forUpdate().executeTakeFirst()
  return row as JobRow | undefined
}

/** Writes down what a step has done and where the next one goes on; the caller holds the job. */
export async function saveStep(
  db: Kysely<Tables>,
  { id, started_at }: JobRow,
  step: { at: string; cursor: object; result: object; done: number; total: number; isDone: boolean; expires_at: string | null }
): Promise<void> {
  const { at, cursor, result, done, total, isDone, expires_at } = step
  await db
    .updateTable('jobs')
    .set({
      cursor: JSON.stringify(cursor),
      result: JSON.stringify(result),
      // What came to it while it was under way is more than was there at its beginning.
      done: isDone ? total : Math.min(done, total),
      total,
      attempts: 0,
      status: isDone ? 'done' : 'running',
      started_at: started_at ?? at,
      updated_at: at,
      ...(isDone && { finished_at: at, expires_at })
    })
    .where('id', '=', id)
    .execute()
}

/** Counts a step that failed. @returns how many did so in a row */
export async function countFailure(db: Kysely<Tables>, id: string): Promise<number> {
  const row = await db
    .updateTable('jobs')
    .set(eb => ({ attempts: eb('attempts', '+', 1), updated_at: sql<string>`now()` }))
    .where('id', '=', id)
    .returning('attempts')
    .executeTakeFirst()
  return row?.attempts ?? 0
}

export async function failJob(db: Kysely<Tables>, id: string, error: string): Promise<void> {
  await db
    .updateTable('jobs')
    .set({ status: 'failed', error, finished_at: sql<string>`now()`, updated_at: sql<string>`now()` })
    .where('id', '=', id)
    .execute()
}

/** Jobs on which nobody has worked for a while: their place in the queue may be lost. */
export async function forgottenJobs(db: Kysely<Tables>, before: string): Promise<{ id: string; kind: JobKind }[]> {
  const rows = await db
    .selectFrom('jobs')
    .select(['id', 'kind'])
    .where('finished_at', 'is', null)
    .where('updated_at', '<', before)
    .limit(1_000)
    .execute()
  return rows as { id: string; kind: JobKind }[]
}

/** Removes some pages of what has expired, then the jobs that have none left. @returns how many rows went */
export async function removeExpired(db: Kysely<Tables>, at: string, limit: number): Promise<number> {
  const { rows: pages } = await sql`
    delete from export_pages p using (
      select e.job_id, e.page from jobs j join export_pages e on e.job_id = j.id where j.expires_at <= ${at} limit ${limit}
    ) x where p.job_id = x.job_id and p.page = x.page returning 1`.execute(db)
  if (pages.length > 0) return pages.length
  const { rows: jobs } = await sql`
    delete from jobs where id in (select id from jobs where expires_at <= ${at} limit ${limit}) returning 1`.execute(db)
  return jobs.length
}

export function toJob(row: JobRow): Job {
  const { id, kind, status, done, total, result, error, created_at, finished_at, expires_at } = row
  const percent = status === 'done' ? 100 : total === 0 ? 0 : Math.floor((done / total) * 100)
  return {
    id,
    kind,
    status,
    progress: { done, total, percent },
    result,
    ...(error !== null && { error }),
    created_at,
    finished_at,
    expires_at
  }
}
