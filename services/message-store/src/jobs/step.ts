import type { ChangeType } from '@parley/contracts'
import type { Kysely } from '@parley/pg-kit'
import { newBatch } from '../announce.ts'
import type { Telling } from '../coming-and-going.ts'
import type { Tables } from '../db.ts'
import type { JobRow } from '../queries/jobs.ts'
import { leaveInOutbox } from '../queries/outbox.ts'

/** What one transaction of a job has done, and where the next one goes on. */
export interface Step {
  cursor: object
  /** Of what `total` counts. */
  done: number
  total?: number
  result?: Record<string, number>
  isDone?: boolean
  /** For how long what a job has made is kept, once it is done. */
  keepMs?: number
  /** What is to be told once it is committed. */
  told?: ToldMessages | undefined
  telling?: Telling | undefined
}

/** Messages that changed, under the name of their outbox row. */
export interface ToldMessages {
  batch: string
  type: ChangeType
  conversation_id: string
  versions: readonly number[]
}

/** One bounded piece of a job, in a transaction that holds the job. Whoever runs it again goes on from what it returned. */
export type Work = (db: Kysely<Tables>, job: JobRow, at: string) => Promise<Step>

/** So many rows in one transaction: a conversation is held for some tens of milliseconds. */
export const ROWS_A_STEP = 200
export const NONE = '00000000-0000-0000-0000-000000000000'

/** Leaves versions of messages to be told, in the transaction that made them. */
export async function leaveTold(db: Kysely<Tables>, at: string, told: Omit<ToldMessages, 'batch'>): Promise<ToldMessages | undefined> {
  const { type, conversation_id, versions } = told
  if (versions.length === 0) return undefined
  const { batch } = newBatch()
  await leaveInOutbox(db, {
    id: batch,
    created_at: at,
    kind: type,
    conversation_ids: versions.map(() => conversation_id),
    versions: [...versions]
  })
  return { batch, ...told }
}

/** The counts of a job so far, with some more. */
export function added(result: Readonly<Record<string, number>>, more: Readonly<Record<string, number>>): Record<string, number> {
  const sum = { ...result }
  for (const [name, count] of Object.entries(more)) sum[name] = (sum[name] ?? 0) + count
  return sum
}
