import { type Static, Type } from '@sinclair/typebox'
import { defineRequest } from './define.ts'
import { Actor, Count, Id, Nullable, OneOf, Time } from './fields.ts'

/** How long what was exported can be read, in hours. */
export const EXPORT_HOURS = 24

export const JobKind = OneOf('purge', 'erase', 'export')
export type JobKind = Static<typeof JobKind>

/** Work that outlives a request: it goes on after whatever stops it, and is done once. */
export const Job = Type.Object(
  {
    id: Id,
    kind: JobKind,
    status: OneOf('queued', 'running', 'done', 'failed'),
    progress: Type.Object({
      done: Count,
      total: Count,
      percent: Type.Integer({ minimum: 0, maximum: 100 })
    }),
    result: Type.Record(Type.String({ maxLength: 40 }), Count, {
      description: 'What it has done so far, such as `messages` emptied or exported.'
    }),
    error: Type.Optional(Type.String({ maxLength: 500, description: 'Why it failed; another one may be asked for.' })),
    created_at: Time,
    finished_at: Nullable(Time),
    expires_at: Nullable(Time)
  },
  { $id: 'Job' }
)
export type Job = Static<typeof Job>

/**
 * Each message that could be read takes a version and is told as `message_deleted`, 200 at a time and with pauses. Its row
 * stays without anything that it said: `seq` and `version` have no holes, and it cannot be restored.
 */
export const PurgeMessages = defineRequest('messages.purge', {
  summary: 'Empty the messages that are older than some days, of a conversation or of all. For admins and the host application.',
  request: Type.Object({
    actor: Actor,
    older_than_days: Type.Integer({ minimum: 1, maximum: 36_500 }),
    conversation_id: Type.Optional(Id)
  }),
  reply: Job,
  errors: ['forbidden', 'conversation_not_found', 'rate_limited']
})

/**
 * May be repeated: the same job is told. With the reply the profile is gone, the sockets end and the id belongs to nobody
 * any more; the job does the rest. A token of theirs that is valid still opens an account that is in nothing, is found by
 * nobody and can begin nothing; the host application gives a person who comes back another id.
 */
export const EraseUser = defineRequest('users.erase', {
  summary: 'Erase a person: profile, messages, reactions, places in conversations. For admins and the host application.',
  request: Type.Object({ actor: Actor, user_id: Id }),
  reply: Job,
  errors: ['forbidden', 'user_not_found', 'rate_limited']
})

export const ExportUser = defineRequest('users.export', {
  summary: 'Gather the profile and all messages of a person as JSON lines. For admins and the host application.',
  request: Type.Object({ actor: Actor, user_id: Id }),
  reply: Job,
  errors: ['forbidden', 'user_not_found', 'rate_limited']
})

export const GetJob = defineRequest('jobs.get', {
  summary: 'Tell how far a job is. For admins and the host application.',
  request: Type.Object({ actor: Actor, job_id: Id }),
  reply: Job,
  errors: ['forbidden', 'job_not_found']
})

/** All pages one after the other are one file of JSON lines; a page ends with a line. It can be read for 24 hours. */
export const ReadExport = defineRequest('exports.read', {
  summary: 'Read a page of what an export has gathered. For admins and the host application.',
  request: Type.Object({ actor: Actor, job_id: Id, page: Type.Integer({ minimum: 1, maximum: 2_147_483_647 }) }),
  reply: Type.Object({
    data: Type.String({ maxLength: 512 * 1024 }),
    page: Count,
    pages: Count
  }),
  errors: ['forbidden', 'job_not_found', 'export_not_ready']
})
