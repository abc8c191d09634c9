import type { Kysely } from '@parley/pg-kit'
import { changeConversation, letOut } from '../coming-and-going.ts'
import type { Tables } from '../db.ts'
import { readLocked } from '../queries/change.ts'
import { clearPlace, clearReactions, clearRest, clearTraces, conversationsAfter, countAround, expireExports } from '../queries/erase.ts'
import type { JobRow } from '../queries/jobs.ts'
import { findPlaces } from '../queries/participants.ts'
import { bump, emptyMessages, nextOfPerson } from '../queries/purge.ts'
import { added, leaveTold, NONE, ROWS_A_STEP, type Step, type Work } from './step.ts'

type Phase = 'theirs' | 'about them' | 'reactions' | 'traces'

/** The conversation in hand: they are out of it, so nothing of theirs comes after `until`. */
interface Current {
  id: string
  until: number
  phase: Phase
  seq: number
}

interface Cursor {
  after?: string
  /** Messages in the conversations that are done. */
  passed?: number
  current?: Current
}

type Target = { org_id: string; user_id: string }

/**
 * Erases a person from one conversation after the other, each in steps: they leave; then what they said, what the system
 * said of them, their reactions, and when they read what. Their profile went with the request.
 */
export const eraseStep: Work = async (db, job, at): Promise<Step> => {
  const target = { org_id: job.org_id, user_id: job.subject_id! }
  const cursor = job.cursor as Cursor
  const total = job.started_at === null ? await countAround(db, target) : job.total
  const { current } = cursor
  if (!current) return { ...(await leaveNext(db, job, target, cursor)), total }
  const step = await (current.phase === 'reactions'
    ? takeReactions(db, job, target, current, at)
    : current.phase === 'traces'
      ? takeTraces(db, target, current)
      : emptyNext(db, job, target, current, at))
  const passed = cursor.passed ?? 0
  if (step.current) {
    const reached = step.current.phase === 'theirs' ? step.current.seq : step.current.until
    return { ...step, cursor: { ...cursor, current: step.current }, done: passed + reached, total }
  }
  return { ...step, cursor: { after: current.id, passed: passed + current.until }, done: passed + current.until, total }
}

/** A step within a conversation; without a next one the conversation is done. */
type Within = Pick<Step, 'result' | 'told'> & { current: Current | undefined }

async function leaveNext(db: Kysely<Tables>, job: JobRow, { org_id, user_id }: Target, cursor: Cursor): Promise<Step> {
  const [next] = await conversationsAfter(db, { org_id, user_id, after: cursor.after ?? NONE, limit: 1 })
  if (!next) {
    await clearRest(db, { org_id, user_id })
    await expireExports(db, { org_id, user_id })
    return { cursor, done: job.total, isDone: true }
  }
  const { result: until, telling } = await changeConversation(db, { conversation_id: next.id, actor_id: user_id }, async change => {
    const { last_seq } = change.conversation
    const place = (await findPlaces(db, next.id, [user_id])).get(user_id)
    if (place?.is_active) await letOut(change, place)
    return last_seq
  })
  await clearPlace(db, next.id, user_id)
  return {
    cursor: { ...cursor, current: { id: next.id, until, phase: 'theirs', seq: 0 } },
    done: job.done,
    result: added(job.result, { conversations: 1 }),
    telling
  }
}

async function emptyNext(db: Kysely<Tables>, job: JobRow, { user_id }: Target, current: Current, at: string): Promise<Within> {
  const { id, phase, seq, until } = current
  const conversation = await readLocked(db, id)
  const whose = phase === 'theirs' ? 'theirs' : 'about them'
  const messages = await nextOfPerson(db, { conversation_id: id, user_id, after: seq, until, limit: ROWS_A_STEP }, whose)
  const versions = await emptyMessages(db, conversation, messages, at)
  const isLast = messages.length < ROWS_A_STEP
  const next: Phase = phase === 'theirs' ? 'about them' : 'reactions'
  return {
    current: isLast ? { ...current, phase: next, seq: 0 } : { ...current, seq: messages.at(-1)!.seq },
    result: added(job.result, { messages: messages.length }),
    told: await leaveTold(db, at, { type: 'message_deleted', conversation_id: id, versions })
  }
}

async function takeReactions(db: Kysely<Tables>, job: JobRow, { user_id }: Target, current: Current, at: string): Promise<Within> {
  const conversation = await readLocked(db, current.id)
  const { count, versions } = await clearReactions(db, conversation, user_id, { limit: ROWS_A_STEP, at })
  if (versions.length > 0) await bump(db, current.id, conversation.version + versions.length, at)
  return {
    current: count < ROWS_A_STEP ? { ...current, phase: 'traces' } : current,
    result: added(job.result, { reactions: count }),
    told: await leaveTold(db, at, { type: 'message_updated', conversation_id: current.id, versions })
  }
}

async function takeTraces(db: Kysely<Tables>, { user_id }: Target, current: Current): Promise<Within> {
  return { current: (await clearTraces(db, current.id, user_id, ROWS_A_STEP)) ? current : undefined }
}
