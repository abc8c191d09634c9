import { AppError, type Participant, SCHEDULED_DAYS_MAX } from '@parley/contracts'
import type { MessageRow } from './message.ts'
import type { Membership } from './queries/membership.ts'
import type { MyPlace } from './queries/my-membership.ts'
import type { Place } from './queries/participants.ts'

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
export function requireVisible<T extends MessageRow & { is_participant: boolean; is_hidden: boolean }>(
  row: T | undefined,
  message_id: string
): T {
  if (!row) throw new AppError('message_not_found', `no message ${message_id}`)
  if (!row.is_participant) throw new AppError('not_a_participant', 'you are not in the conversation of this message')
  // Said while they were away: to them it is not there.
  if (row.is_hidden) throw new AppError('message_not_found', `no message ${message_id}`)
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
  requireOpen(status)
}

/** @throws AppError conversation_locked, conversation_archived */
function requireOpen(status: string): void {
  if (status === 'locked') throw new AppError('conversation_locked', 'the conversation is locked')
  if (status === 'archived') throw new AppError('conversation_archived', 'the conversation is archived')
}

/**
 * Holds that a person may say something in a conversation: what they have said there is not changed by who may say nothing
 * new, or an edit would be a way round.
 *
 * @throws AppError read_only, blocked
 */
export function requireVoice(place: Pick<MyPlace, 'type' | 'role' | 'is_blocked'>): void {
  if (place.type === 'announcement' && place.role !== 'owner' && place.role !== 'admin')
    throw new AppError('read_only', 'only owners and admins write here')
  requireUnblocked(place)
}

/** @throws AppError blocked */
export function requireUnblocked({ is_blocked }: Pick<MyPlace, 'is_blocked'>): void {
  if (is_blocked) throw new AppError('blocked', 'one of you has blocked the other')
}

/**
 * Holds that something may be done with a message: it says something still, and its conversation takes writing.
 *
 * @throws AppError message_deleted, conversation_locked, conversation_archived
 */
export function requireLive({ deleted_at, status }: Pick<MessageRow, 'deleted_at'> & { status: string }): void {
  if (deleted_at !== null) throw new AppError('message_deleted', 'the message is deleted')
  requireOpen(status)
}

/**
 * Holds that a message may still be edited. @param windowSeconds 0: for ever
 *
 * @throws AppError edit_window_passed
 */
export function requireInTime({ created_at }: { created_at: string }, at: string, windowSeconds: number): void {
  if (windowSeconds > 0 && Date.parse(at) - Date.parse(created_at) > windowSeconds * 1_000)
    throw new AppError('edit_window_passed', `a message may be edited for ${windowSeconds} seconds`)
}

/**
 * Holds that a person is in a conversation, by their place in it.
 *
 * @throws AppError not_a_participant
 */
export function requirePlace(place: Place | undefined): Place {
  if (!place?.is_active) throw new AppError('not_a_participant', 'you are not in this conversation')
  return place
}

/**
 * Holds that it is the host application that asks, which keeps people and projects in step.
 *
 * @throws AppError forbidden
 */
export function requireService({ role }: { role: string }): void {
  if (role !== 'service') throw new AppError('forbidden', 'only the host application may do this')
}

/**
 * Holds that it is an admin of the organization who asks, or the host application.
 *
 * @throws AppError forbidden
 */
export function requireAdmin({ role }: { role: string }): void {
  if (role !== 'admin' && role !== 'service') throw new AppError('forbidden', 'only admins may do this')
}

/** @throws AppError direct_conversation */
export function requireNotDirect({ type }: { type: string }): void {
  if (type === 'direct') throw new AppError('direct_conversation', 'a direct conversation has two people, who stay in it')
}

/**
 * Holds that a role may decide who is in a conversation.
 *
 * @throws AppError forbidden
 */
export function requireManager(role: Participant['role']): void {
  if (role !== 'owner' && role !== 'admin') throw new AppError('forbidden', 'only owners and admins may do this')
}

/**
 * Holds what an admin may not do to an owner: they would take the conversation from who gave it to them.
 *
 * @throws AppError forbidden
 */
export function requireOwnerFor(role: Participant['role'], deed: string): void {
  if (role !== 'owner') throw new AppError('forbidden', `only an owner may ${deed}`)
}

const DAY_MS = 86_400_000

/** @throws AppError invalid_request where a time to send something at is past, or too far away */
export function requireSoon(send_at: string, now: number): void {
  const inMs = Date.parse(send_at) - now
  if (inMs > 0 && inMs <= SCHEDULED_DAYS_MAX * DAY_MS) return
  const message = inMs > 0 ? `must be within ${SCHEDULED_DAYS_MAX} days` : 'must be in the future'
  throw new AppError('invalid_request', `send_at ${message}`, { errors: [{ path: '/send_at', message }] })
}
