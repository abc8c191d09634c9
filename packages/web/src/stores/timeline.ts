import type { Message } from '../api/types.ts'
import { callsMe } from './mine.ts'

/**
 * A stretch of a conversation's history without holes, oldest first. It is replaced, never changed in place.
 * Where `hasNewer`, what is said now lies beyond its end and is not put here.
 */
export interface Timeline {
  readonly messages: readonly Message[]
  readonly hasOlder: boolean
  readonly hasNewer: boolean
}

/** What is held of one conversation at most; the far end is let go. */
export const WINDOW_MAX = 5_000

export function emptyTimeline(): Timeline {
  return { messages: [], hasOlder: false, hasNewer: false }
}

/** Puts a message at its place, over an older version of itself only. Returns the same timeline when nothing changes. */
export function putMessage(timeline: Timeline, message: Message): Timeline {
  const { messages, hasOlder, hasNewer } = timeline
  const at = placeOf(messages, message.seq)
  const held = messages[at]
  if (held?.id === message.id) {
    if (held.version >= message.version) return timeline
    return { ...timeline, messages: messages.with(at, message) }
  }
  if (at === messages.length && hasNewer) return timeline
  if (at === 0 && hasOlder && messages.length > 0) return timeline
  const next = at === messages.length ? [...messages, message] : messages.toSpliced(at, 0, message)
  return { ...timeline, messages: next }
}

export function addOlder(timeline: Timeline, older: readonly Message[], hasMore: boolean): Timeline {
  const first = timeline.messages[0]?.seq ?? Number.POSITIVE_INFINITY
  const fresh = older.filter(message => message.seq < first)
  const messages = [...fresh, ...timeline.messages]
  const tooMany = messages.length > WINDOW_MAX
  return {
    messages: tooMany ? messages.slice(0, WINDOW_MAX) : messages,
    hasOlder: hasMore,
    hasNewer: timeline.hasNewer || tooMany
  }
}

export function addNewer(timeline: Timeline, newer: readonly Message[], hasMore: boolean): Timeline {
  const last = timeline.messages.at(-1)?.seq ?? 0
  const fresh = newer.filter(message => message.seq > last)
  const messages = [...timeline.messages, ...fresh]
  const tooMany = messages.length > WINDOW_MAX
  return { messages: tooMany ? messages.slice(-WINDOW_MAX) : messages, hasOlder: timeline.hasOlder || tooMany, hasNewer: hasMore }
}

/** A message that still counts for someone who has read up to `lastReadSeq`. */
export function isUnreadFor(message: Message, me: string, lastReadSeq: number): boolean {
  return message.seq > lastReadSeq && message.sender_id !== me && !message.is_deleted && message.content_type !== 'system'
}

/** How many are unread, and how many of them call me, where the timeline reaches from the read position to the end. */
export function countUnread(
  { messages, hasOlder, hasNewer }: Timeline,
  me: string,
  lastReadSeq: number
): { unread: number; mentions: number } | undefined {
  if (hasNewer) return undefined
  if (hasOlder && (messages[0]?.seq ?? Number.POSITIVE_INFINITY) > lastReadSeq + 1) return undefined
  let unread = 0
  let mentions = 0
  for (let at = messages.length - 1; at >= 0 && messages[at]!.seq > lastReadSeq; at -= 1) {
    if (!isUnreadFor(messages[at]!, me, lastReadSeq)) continue
    unread += 1
    if (callsMe(messages[at]!, me)) mentions += 1
  }
  return { unread, mentions }
}

/** The index of the first message at or past a seq. */
function placeOf(messages: readonly Message[], seq: number): number {
  let low = 0
  let high = messages.length
  if (high > 0 && messages[high - 1]!.seq < seq) return high
  while (low < high) {
    const middle = (low + high) >> 1
    if (messages[middle]!.seq < seq) low = middle + 1
    else high = middle
  }
  return low
}
