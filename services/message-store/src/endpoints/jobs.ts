import { AppError, EraseUser, ExportUser, GetJob, PurgeMessages, ReadExport, UserDeactivated } from '@parley/contracts'
import { eraseProfile } from '../queries/erase.ts'
import { findPage } from '../queries/export.ts'
import { findErasure, findJob, type JobRow, toJob } from '../queries/jobs.ts'
import { findUsers } from '../queries/people.ts'
import { requireAdmin } from '../rules.ts'
import type { Store } from '../store.ts'

const DAY_MS = 24 * 3_600_000

/** What admins and the host application have done in the background: retention, erasure, export. */
export function jobs({ bus, people, store, jobs }: Store): void {
  bus.serve(PurgeMessages, async ({ actor, older_than_days, conversation_id }) => {
    requireAdmin(actor)
    const { org_id, user_id: created_by } = actor
    const before = new Date(Date.now() - older_than_days * DAY_MS).toISOString()
    await jobs.ready()
    const job = await store.transaction(async db => {
      if (conversation_id !== undefined) {
        const found = await db
          .selectFrom('conversations')
          .select('id')
          .where('id', '=', conversation_id)
          .where('org_id', '=', org_id)
          .executeTakeFirst()
        if (!found) throw new AppError('conversation_not_found', `no conversation ${conversation_id}`)
      }
      return jobs.submit(db, { org_id, kind: 'purge', subject_id: conversation_id ?? null, params: { before }, created_by })
    })
    return toJob(job)
  })

  bus.serve(EraseUser, async ({ actor, user_id }) => {
    requireAdmin(actor)
    const { org_id, user_id: created_by } = actor
    await jobs.ready()
    const job = await store.transaction(async db => {
      // It holds the person's row, so of two who ask at once the second finds the job of the first.
      if (!(await eraseProfile(db, org_id, user_id))) throw new AppError('user_not_found', `no person ${user_id}`)
      const standing = await findErasure(db, org_id, user_id)
      return standing ?? jobs.submit(db, { org_id, kind: 'erase', subject_id: user_id, params: {}, created_by })
    })
    bus.publish(UserDeactivated, {}, { user_id, org_id })
    return toJob(job)
  })

  bus.serve(ExportUser, async ({ actor, user_id }) => {
    requireAdmin(actor)
    const { org_id, user_id: created_by } = actor
    await jobs.ready()
    const job = await store.transaction(async db => {
      const [user] = await findUsers(db, org_id, [user_id])
      if (!user) throw new AppError('user_not_found', `no person ${user_id}`)
      return jobs.submit(db, { org_id, kind: 'export', subject_id: user_id, params: {}, created_by })
    })
    return toJob(job)
  })

  bus.serve(GetJob, async ({ actor, job_id }) => {
    requireAdmin(actor)
    return toJob(required(await people.asUser(actor, db => findJob(db, actor.org_id, job_id)), job_id))
  })

  bus.serve(ReadExport, async ({ actor, job_id, page }) => {
    requireAdmin(actor)
    return people.asUser(actor, async db => {
      const { kind, status, result } = required(await findJob(db, actor.org_id, job_id), job_id)
      if (kind !== 'export') throw new AppError('job_not_found', `no export ${job_id}`)
      if (status !== 'done') throw new AppError('export_not_ready', 'the export is not done')
      return { data: (await findPage(db, job_id, page)) ?? '', page, pages: result.pages ?? 0 }
    })
  })
}

/** What has expired is not there, also where it is not removed yet. */
function required(job: JobRow | undefined, job_id: string): JobRow {
  if (!job || (job.expires_at !== null && Date.parse(job.expires_at) <= Date.now())) throw new AppError('job_not_found', `no job ${job_id}`)
  return job
}
