import type { Context } from './check.ts'
import type { FinalMessage } from './final.ts'
import type { Findings } from './violation.ts'

/** C11: counters, positions and unread counts are what the log says. */
export function checkDerived({ final, rowsByConversation, operations, actorOf }: Context, findings: Findings): void {
  for (const { id, last_seq, last_message_id, participant_count } of final.conversations) {
    const rows = rowsByConversation.get(id) ?? []
    const last = rows.at(-1)
    if (last_seq !== rows.length) findings.add('C11', `${id}: last_seq is ${last_seq}, the log has ${rows.length}`)
    if (last_message_id !== (last?.id ?? null)) findings.add('C11', `${id}: last_message_id is ${last_message_id}, the last is ${last?.id}`)
    const active = final.participants.filter(one => one.conversation_id === id && one.is_active).length
    if (participant_count !== active) findings.add('C11', `${id}: participant_count is ${participant_count}, ${active} are in it`)
  }

  const positions = new Map(final.participants.map(one => [`${one.conversation_id} ${one.user_id}`, one.last_read_seq]))
  for (const { op, conv, oks, proc, invoke } of operations.values()) {
    if (op !== 'mark_read' && op !== 'send') continue
    for (const ok of oks) {
      const position = positions.get(`${conv} ${actorOf.get(proc)?.user_id}`) ?? 0
      if (position < (ok.seq ?? 0)) findings.add('C11', `${conv}: ${proc} had read up to ${ok.seq}, and is at ${position}`, invoke, ok)
    }
  }
  for (const { conversation_id, user_id, last_read_seq } of final.participants) {
    const length = rowsByConversation.get(conversation_id)?.length ?? 0
    if (last_read_seq > length) findings.add('C11', `${conversation_id}: ${user_id} has read up to ${last_read_seq} of ${length}`)
  }

  for (const { user_id, conversation_id, unread_count } of final.unread) {
    const position = positions.get(`${conversation_id} ${user_id}`) ?? 0
    const right = unreadOf(rowsByConversation.get(conversation_id) ?? [], user_id, position)
    if (unread_count !== right) findings.add('C11', `${conversation_id}: ${user_id} has ${unread_count} unread, the log says ${right}`)
  }
}

/** What others wrote past a position and what still says something. */
function unreadOf(rows: readonly FinalMessage[], user_id: string, position: number): number {
  let count = 0
  for (const row of rows) {
    if (row.seq > position && row.sender_id !== user_id && !row.is_deleted && row.content_type !== 'system') count++
  }
  return count
}
