import { EXPORT_HOURS } from '@parley/contracts'
import type { Kysely } from '@parley/pg-kit'
import type { Tables } from '../db.ts'
import { conversationsAfter, countAround } from '../queries/erase.ts'
import { type ExportedMessage, insertPage, messagesOf, profileOf } from '../queries/export.ts'
import type { JobRow } from '../queries/jobs.ts'
import { added, NONE, ROWS_A_STEP, type Step, type Work } from './step.ts'

/** A page goes over NATS as a string of JSON, which may double it. */
const PAGE_BYTES = 256 * 1024
const CONVERSATIONS_A_STEP = 50

interface Cursor {
  /** All conversations up to here are done. */
  after: string
  /** Of the one after it, all messages up to here. */
  seq: number
  /** Messages in the conversations that are done. */
  passed: number
  pages: number
}

const BEGINNING: Cursor = { after: NONE, seq: 0, passed: 0, pages: 0 }

/** Gathers the next page: the profile first, then messages, conversation by conversation, that were there when it was asked for. */
export const exportStep: Work = async (db, job): Promise<Step> => {
  const target = { org_id: job.org_id, user_id: job.subject_id! }
  const cursor = { ...BEGINNING, ...job.cursor }
  const lines: string[] = []
  if (job.started_at === null) lines.push(line('profile', { ...(await profileOf(db, target)), exported_at: job.created_at }))
  const total = job.started_at === null ? await countAround(db, target) : job.total
  const { messages, next, isDone } = await gather(db, target, job, cursor)
  for (const message of messages) lines.push(line('message', message))
  const page = cursor.pages + 1
  if (lines.length > 0) await insertPage(db, { job_id: job.id, page, org_id: job.org_id, data: lines.join('') })
  return {
    cursor: { ...next, pages: lines.length > 0 ? page : cursor.pages },
    done: next.passed + next.seq,
    total,
    isDone,
    keepMs: EXPORT_HOURS * 3_600_000,
    result: added(job.result, { messages: messages.length, pages: lines.length > 0 ? 1 : 0 })
  }
}

/** Messages until a page is full, from one conversation or from many. */
async function gather(
  db: Kysely<Tables>,
  target: { org_id: string; user_id: string },
  { created_at }: JobRow,
  cursor: Cursor
): Promise<{ messages: ExportedMessage[]; next: Cursor; isDone: boolean }> {
  const messages: ExportedMessage[] = []
  const next = { ...cursor }
  let bytes = 0
  const conversations = await conversationsAfter(db, { ...target, after: cursor.after, limit: CONVERSATIONS_A_STEP })
  for (const { id, last_seq } of conversations) {
    const limit = ROWS_A_STEP - messages.length
    const found = await messagesOf(db, { conversation_id: id, user_id: target.user_id, after: next.seq, before: created_at, limit })
    for (const message of found) {
      bytes += Buffer.byteLength(line('message', message))
      if (bytes > PAGE_BYTES && messages.length > 0) return { messages, next, isDone: false }
      messages.push(message)
      next.seq = message.seq
    }
    if (found.length === limit) return { messages, next, isDone: false }
    next.after = id
    next.passed += last_seq
    next.seq = 0
  }
  return { messages, next, isDone: conversations.length < CONVERSATIONS_A_STEP }
}

const line = (type: string, fields: object): string => `${JSON.stringify({ type, ...fields })}\n`
