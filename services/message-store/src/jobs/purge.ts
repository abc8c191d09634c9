import { countToPurge, emptyMessages, lockNextToPurge, nextToPurge, setPurged } from '../queries/purge.ts'
import { added, leaveTold, NONE, ROWS_A_STEP, type Step, type Work } from './step.ts'

const KEPT_MS = 90 * 24 * 3_600_000

/** Empties the next messages that are older than a time, conversation by conversation. */
export const purgeStep: Work = async (db, job, at): Promise<Step> => {
  const { before } = job.params as { before: string }
  const { from = NONE } = job.cursor as { from?: string }
  const which = { org_id: job.org_id, only: job.subject_id, before }
  const total = job.started_at === null ? await countToPurge(db, which) : job.total
  const conversation = await lockNextToPurge(db, { ...which, from })
  if (!conversation) return { cursor: { from }, done: total, total, isDone: true, keepMs: KEPT_MS }

  const next = await nextToPurge(db, conversation, ROWS_A_STEP)
  // Two stores disagree about the time by little: whoever is the first that is young enough ends it.
  const young = next.findIndex(message => Date.parse(message.created_at) >= Date.parse(before))
  const old = young === -1 ? next : next.slice(0, young)
  const emptied = old.filter(message => !message.is_purged)
  const versions = await emptyMessages(db, conversation, emptied, at)
  await setPurged(db, conversation.id, old.at(-1)!.seq)
  const passed = young === -1 ? old.length : conversation.last_seq - conversation.purged_seq
  return {
    // What is left of this one is old still, or it is passed over.
    cursor: { from: conversation.id },
    done: job.done + passed,
    total,
    result: added(job.result, { messages: emptied.length }),
    told: await leaveTold(db, at, { type: 'message_deleted', conversation_id: conversation.id, versions })
  }
}
