import type { Message } from '../api/types.ts'
import type { Timeline } from './timeline.ts'

/** As many replies are kept from beyond what is read; the others come with the pages in between. */
const AHEAD_MAX = 200

/** What was said in reply to one message, from the first reply on, oldest first. It is replaced, never changed in place. */
export interface Replies {
  readonly messages: readonly Message[]
  /** What came live while there is more to be read before it. */
  readonly ahead: readonly Message[]
  readonly hasMore: boolean
}

export const NO_REPLIES: Replies = { messages: [], ahead: [], hasMore: true }

/** Puts a reply at its place, over an older version of itself only. */
export function putReply(replies: Replies, message: Message): Replies {
  const { messages, ahead, hasMore } = replies
  const isHeld = messages.some(({ id }) => id === message.id)
  if (isHeld || !hasMore) return { ...replies, messages: put(messages, message) }
  return { ...replies, ahead: put(ahead, message).slice(-AHEAD_MAX) }
}

export function addReplies({ messages, ahead }: Replies, page: readonly Message[], hasMore: boolean): Replies {
  const all = page.reduce<readonly Message[]>(put, messages)
  return hasMore ? { messages: all, ahead, hasMore } : { messages: ahead.reduce(put, all), ahead: [], hasMore }
}

function put(messages: readonly Message[], message: Message): readonly Message[] {
  const at = messages.findIndex(({ seq }) => seq >= message.seq)
  if (at < 0) return [...messages, message]
  const held = messages[at]!
  if (held.id !== message.id) return messages.toSpliced(at, 0, message)
  return held.version >= message.version ? messages : messages.with(at, message)
}

/**
 * Tells how many replies a message has. A reply comes after what it answers, so a history that reaches from a message to
 * the end has them all, also those that came since; elsewhere there is what the server said when the message was read.
 */
export function replyCounter(timeline: Timeline | undefined): (message: Message) => number {
  const counts = new Map<string, number>()
  for (const { reply_to_id, is_deleted } of timeline?.messages ?? []) {
    if (reply_to_id && !is_deleted) counts.set(reply_to_id, (counts.get(reply_to_id) ?? 0) + 1)
  }
  const first = timeline && !timeline.hasNewer ? timeline.messages[0]?.seq : undefined
  return ({ id, seq, reply_count }) => {
    const counted = counts.get(id) ?? 0
    return first !== undefined && first <= seq ? counted : Math.max(counted, reply_count)
  }
}
