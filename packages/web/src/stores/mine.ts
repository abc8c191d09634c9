import type { Message, Mine } from '../api/types.ts'

/** Whether a conversation is to be quiet for me now. */
export function isMuted({ notifications, muted_until }: Mine, now = Date.now()): boolean {
  return notifications === 'none' || (muted_until !== null && Date.parse(muted_until) > now)
}

/** Whether a message of somebody else calls me, by name or with everyone. */
export function callsMe({ sender_id, mentions, mention_all, is_deleted }: Message, me: string): boolean {
  return sender_id !== me && !is_deleted && (mention_all || mentions.includes(me))
}
