import { AppError, ConversationMoment, GetUnread, MarkRead, MOMENTS_TOLD_MAX, ViewersMoment } from '@parley/contracts'
import { announceUnread } from '../announce.ts'
import { findMembership } from '../queries/membership.ts'
import { seqOf } from '../queries/messages.ts'
import { moveReadPosition } from '../queries/read-position.ts'
import { conversationsOf, mentionCounts } from '../queries/unread.ts'
import { requireParticipant } from '../rules.ts'
import type { Store } from '../store.ts'
import { Visible } from '../visible.ts'

/** Read positions and unread counts. */
export function read({ bus, people, store, log }: Store): void {
  bus.serve(MarkRead, async ({ actor, conversation_id, message_id, seq, connection_id }) => {
    const at = new Date().toISOString()
    const moved = await people.asUser(actor, async db => {
      const { last_seq, hidden } = requireParticipant(await findMembership(db, actor, conversation_id), conversation_id)
      const target = message_id === undefined ? (seq ?? last_seq) : await seqOf(db, conversation_id, message_id)
      if (target === undefined || (message_id !== undefined && !new Visible(last_seq, hidden).sees(target)))
        throw new AppError('message_not_found', `no message ${message_id} in this conversation`)
      return moveReadPosition(db, { conversation_id, ...actor, seq: target, at })
    })
    const { last_read_seq, marked_read, unread_count } = moved
    if (moved.message_id !== null) {
      const { user_id } = actor
      bus.publish(
        moved.participant_count > MOMENTS_TOLD_MAX ? ViewersMoment : ConversationMoment,
        { conversation_id },
        { type: 'message_read', conversation_id, user_id, message_id: moved.message_id, seq: last_read_seq, read_at: at }
      )
      void announceUnread({ bus, store }, [actor], conversation_id, connection_id).catch(err =>
        log.warn({ err }, 'unread counts were not told')
      )
    }
    return { marked_read, unread_count, last_read_seq, success: true as const }
  })

  bus.serve(GetUnread, ({ actor }) =>
    people.asUser(
      actor,
      async db => {
        const unread = (await conversationsOf(db, [actor])).filter(row => row.unread_count > 0)
        const calls = await mentionCounts(
          db,
          actor,
          unread.map(({ id }) => id)
        )
        return {
          total: unread.reduce((total, row) => total + row.unread_count, 0),
          mention_total: [...calls.values()].reduce((total, count) => total + count, 0),
          conversations: unread.map(({ id, unread_count }) => ({ conversation_id: id, unread_count, mention_count: calls.get(id) ?? 0 }))
        }
      },
      { snapshot: true }
    )
  )
}
