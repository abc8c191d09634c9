import { randomUUIDv7 } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { AppError, type JobKind } from '@parley/contracts'
import type { Database, Kysely } from '@parley/pg-kit'
import type { FastifyBaseLogger } from 'fastify'
import type { PgBoss } from 'pg-boss'
import { announceUnread } from '../announce.ts'
import { tellChange } from '../coming-and-going.ts'
import type { Tables } from '../db.ts'
import { changeFrame, toMessage } from '../message.ts'
import {
  countFailure,
  countUnfinished,
  failJob,
  findJob,
  forgottenJobs,
  insertJob,
  type JobRow,
  lockJob,
  removeExpired,
  saveStep
} from '../queries/jobs.ts'
import { messagesAtVersions } from '../queries/outbox.ts'
import { peopleBehind } from '../queries/unread.ts'
import type { Store } from '../store.ts'
import { eraseStep } from './erase.ts'
import { exportStep } from './export.ts'
import { purgeStep } from './purge.ts'
import { enqueue, openQueue, WORK } from './queue.ts'
import { NONE, type Step, type ToldMessages, type Work } from './step.ts'

const STEPS: Readonly<Record<JobKind, Work>> = { purge: purgeStep, erase: eraseStep, export: exportStep }

/** Of one organization at a time. */
const UNFINISHED_MAX = 20
/** So often in a row a step may fail of itself; a database that is away does not count. */
const FAILURES_MAX = 5
const AGAIN_MS = 1_000
const READY_MS = 1_500
/** After a step others get as long as it took, and this at most. */
const PAUSE_MAX_MS = 1_000
const FORGOTTEN_AFTER_MS = 3_600_000
const REMOVED_AT_ONCE = 100

export interface JobCounts {
  onFinished(kind: JobKind, status: 'done' | 'failed', seconds: number): void
}

/**
 * Jobs that outlive a request, a process and a power cut. `jobs` says how far each is; a step, its effects and where the
 * next one goes on are one transaction, so whatever is killed has done a step wholly or not at all. The queue gives each job
 * to one store at a time, and to another when that one falls silent; should two have it all the same, they take turns.
 */
export class Jobs {
  readonly #store: Pick<Store, 'bus' | 'store' | 'publisher' | 'log'>
  readonly #db: Database<Tables>
  readonly #log: FastifyBaseLogger
  readonly #counts: JobCounts
  readonly #queue: PgBoss
  readonly #stopping = new AbortController()
  #starting: Promise<void> = Promise.resolve()
  #isStarted = false

  /** @param db a pool of its own, so that no job keeps those waiting who send */
  constructor(store: Pick<Store, 'bus' | 'store' | 'publisher' | 'log'>, db: Database<Tables>, counts: JobCounts) {
    this.#store = store
    this.#db = db
    this.#log = store.log
    this.#counts = counts
    this.#queue = openQueue(db, err => this.#log.warn({ err }, 'the queue of jobs has failed'))
  }

  /** Begins to work, behind the service's start; while the database is away it tries again. */
  start(): void {
    this.#starting = this.#start()
  }

  async #start(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted && !this.#isStarted) {
      try {
        await this.#queue.start()
        for (const kind of Object.keys(STEPS)) await this.#queue.work<{ id: string }>(kind, WORK, async ([job]) => this.#run(job!.data.id))
        await this.#queue.work('sweep', WORK, () => this.sweep())
        this.#isStarted = true
      } catch (err) {
        this.#log.warn({ err }, 'the queue of jobs could not be started')
        await delay(AGAIN_MS, undefined, { signal }).catch(() => {})
      }
    }
  }

  /** Finishes the step in hand; the rest is for whoever is there, or comes next. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#starting
    await this.#queue.stop({ graceful: true, timeout: 5_000, close: false })
  }

  /** Resolves once jobs can be made; for a short while after the start, or for the database, they cannot. @throws AppError unavailable */
  async ready(): Promise<void> {
    if (!this.#isStarted) await Promise.race([this.#starting, delay(READY_MS)])
    if (!this.#isStarted) throw new AppError('unavailable', 'the queue of jobs is not there yet')
  }

  /**
   * Makes a job and puts it into the queue, with what its asker did in the same transaction.
   *
   * @throws AppError rate_limited
   */
  async submit(
    db: Kysely<Tables>,
    job: { org_id: string; kind: JobKind; subject_id: string | null; params: object; created_by: string }
  ): Promise<JobRow> {
    if ((await countUnfinished(db, job.org_id)) >= UNFINISHED_MAX)
      throw new AppError('rate_limited', `${UNFINISHED_MAX} jobs are under way`, { retry_after_ms: 60_000 })
    const id = randomUUIDv7()
    await insertJob(db, { id, ...job, at: new Date().toISOString() })
    await enqueue(this.#queue, db, job.kind, id)
    return (await findJob(db, job.org_id, id))!
  }

  /** Does a job step by step. @throws Error where it has to be done by somebody else */
  async #run(id: string): Promise<void> {
    const { signal } = this.#stopping
    for (;;) {
      if (signal.aborted) throw new Error('this store is stopping: another one goes on')
      const startedAt = performance.now()
      let pauseMs = 0
      try {
        if (await this.#step(id)) return
        pauseMs = Math.min(performance.now() - startedAt, PAUSE_MAX_MS)
      } catch (error) {
        pauseMs = AGAIN_MS
        if (!(error instanceof AppError && error.code === 'unavailable') && (await this.#countFailure(id, error))) return
      }
      await delay(pauseMs, undefined, { signal }).catch(() => {})
    }
  }

  /** @returns whether there is nothing more to do */
  async #step(id: string): Promise<boolean> {
    const at = new Date().toISOString()
    const done = await this.#db.transaction(async db => {
      const job = await lockJob(db, id)
      if (!job || job.finished_at !== null) return undefined
      const step = await STEPS[job.kind](db, job, at)
      const { cursor, done, total = job.total, result = job.result, isDone = false, keepMs } = step
      const expires_at = keepMs === undefined ? null : new Date(Date.parse(at) + keepMs).toISOString()
      await saveStep(db, job, { at, cursor, done, total, result, isDone, expires_at })
      return { job, step, isDone }
    })
    if (!done) return true
    await this.#tell(done.step)
    if (done.isDone) this.#finished(done.job, 'done')
    return done.isDone
  }

  /** What cannot be told now, the sweeper tells. */
  async #tell({ telling, told }: Step): Promise<void> {
    tellChange(this.#store.publisher, telling)
    if (!told) return
    try {
      await this.#tellMessages(told)
    } catch (err) {
      this.#log.warn({ err }, 'changes of a job were not told')
    }
  }

  async #tellMessages({ batch, type, conversation_id, versions }: ToldMessages): Promise<void> {
    const rows = await this.#db.query(db => messagesAtVersions(db, { conversation_ids: versions.map(() => conversation_id), versions }))
    const frames = rows.map(row => Buffer.from(changeFrame(type, conversation_id, row.version, JSON.stringify(toMessage(row)))))
    this.#store.publisher.publishConversations(batch, new Map([[conversation_id, frames]]))
    const seq = Math.max(0, ...rows.map(row => row.seq))
    // Whoever had not read them has less to read.
    const behind = await this.#db.query(db => peopleBehind(db, { conversation_id, seq, sender_id: NONE }))
    if (behind.length > 0) await announceUnread(this.#store, behind, conversation_id)
  }

  /** @returns whether it has failed for good */
  async #countFailure(id: string, err: unknown): Promise<boolean> {
    this.#log.error({ err, job_id: id }, 'a step of a job failed')
    try {
      return await this.#db.transaction(async db => {
        if ((await countFailure(db, id)) < FAILURES_MAX) return false
        const job = await lockJob(db, id)
        // What went wrong stands in the log: it may name what nobody is to read.
        await failJob(db, id, 'a step failed again and again; the log of message-store says why')
        if (job) this.#finished(job, 'failed')
        return true
      })
    } catch {
      return false
    }
  }

  #finished({ id, kind, created_at }: JobRow, status: 'done' | 'failed'): void {
    this.#counts.onFinished(kind, status, (Date.now() - Date.parse(created_at)) / 1_000)
    this.#log.info({ job_id: id, kind, status }, 'a job has ended')
  }

  /** Once an hour: removes what has expired, and puts jobs back into the queue that it has lost. */
  async sweep(): Promise<void> {
    const now = Date.now()
    const before = new Date(now).toISOString()
    while (!this.#stopping.signal.aborted && (await this.#db.transaction(db => removeExpired(db, before, REMOVED_AT_ONCE))) > 0);
    await this.#db.transaction(async db => {
      for (const { id, kind } of await forgottenJobs(db, new Date(now - FORGOTTEN_AFTER_MS).toISOString()))
        await enqueue(this.#queue, db, kind, id)
    })
  }
}
