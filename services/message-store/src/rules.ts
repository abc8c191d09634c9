import { AppError } from '@parley/contracts'
import type { MessageRow } from './message.ts'
import type { Membership } from './queries/membership.ts'

/**
 * Holds that a person is in a conversation.
 *
 * @throws AppError conversation_not_found where their organization has none such, not_a_participant
 */
export function requireParticipant(membership: Membership | undefined, conversation_id: string): Membership & { last_read_seq: number } {
  if (!membership) throw new AppError('conversation_not_found', `no conversation ${conversation_id}`)
  if (membership.last_read_seq === null) throw new AppError('not_a_participant', 'you are not in this conversation')
  return { ...membership, last_read_seq: membership.last_read_seq }
}

/**
 * Holds that a person may see a message.
 *
 * @throws AppError message_not_found, not_a_participant
 */
export function requireVisible<T extends MessageRow & { is_participant: boolean }>(row: T | undefined, message_id: string): T {
  if (!row) throw new AppError('message_not_found', `no message ${message_id}`)
  if (!row.is_participant) throw new AppError('not_a_participant', 'you are not in the conversation of this message')
  return row
}

/**
 * Holds that a message may be changed by a person: the sender alone, while the conversation takes writing.
 *
 * @throws AppError not_the_sender, conversation_locked, conversation_archived
 */
export function requireOwn(row: MessageRow, status: string, user_id: string): void {
  if (row.sender_id !== user_id || row.content_type === 'system')
    throw new AppError('not_the_sender', 'only the sender may change a message')
  if (status === 'locked') throw new AppError('conversation_locked', 'the conversation is locked')
  if (status === 'archived') throw new AppError('conversation_archived', 'the conversation is archived')
}
