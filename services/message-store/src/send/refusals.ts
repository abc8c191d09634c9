import { AppError } from '@parley/contracts'
import type { Outgoing } from '../message.ts'
import type { Refusal, Standing } from './insert-messages.ts'

/** Why a message may not be sent, undefined where nothing speaks against it. */
export function refusalOf(refusal: Refusal | undefined, { conversation_id, reply_to_id }: Outgoing): AppError | undefined {
  if (!refusal?.exists) return new AppError('conversation_not_found', `no conversation ${conversation_id}`)
  if (!refusal.is_participant) return new AppError('not_a_participant', 'you are not in this conversation')
  if (refusal.status === 'locked') return new AppError('conversation_locked', 'the conversation is locked')
  if (refusal.status === 'archived') return new AppError('conversation_archived', 'the conversation is archived')
  if (refusal.is_reader) return new AppError('read_only', 'only owners and admins write here')
  if (refusal.is_blocked) return new AppError('blocked', 'one of you has blocked the other')
  if (!refusal.reply_exists) return invalidReply(reply_to_id)
  return undefined
}

export const invalidReply = (reply_to_id: string | null): AppError =>
  new AppError('invalid_reply', `no message ${reply_to_id} in this conversation`, {
    errors: [{ path: '/reply_to_id', message: 'must be a message of this conversation that is not deleted' }]
  })

/** Whether what stands under a client_message_id is this message, as it was when it was sent. */
export const isStanding = (row: Standing, message: Outgoing): boolean =>
  row.original_content === message.content && row.content_type === message.content_type && row.reply_to_id === message.reply_to_id
