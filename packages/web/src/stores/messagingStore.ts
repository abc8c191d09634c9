import { defineStore } from 'pinia'
import { computed, shallowReactive } from 'vue'
import type { Conversation, Message, Mine, Participant } from '../api/types.ts'
import { callsMe, isMuted } from './mine.ts'
import { type Coming, putPerson, withOthers } from './people.ts'
import { putReply, type Replies } from './replies.ts'
import { useSessionStore } from './sessionStore.ts'
import { countUnread, isUnreadFor, putMessage, type Timeline } from './timeline.ts'

const QUOTED_MAX = 1_000

/**
 * What this window holds of the platform. Objects are whole and are put in place by id, only over an
 * older version, so applying anything twice does no harm.
 */
export const useMessagingStore = defineStore('messaging', () => {
  const session = useSessionStore()
  const conversations = shallowReactive(new Map<string, Conversation>())
  const timelines = shallowReactive(new Map<string, Timeline>())
  /** Messages that others reply to, which may lie outside of what is held of a history; undefined is one that cannot be read. */
  const quoted = shallowReactive(new Map<string, Message | undefined>())
  /** What is pinned in a conversation, the newest pin first, where somebody has looked. */
  const pins = shallowReactive(new Map<string, readonly Message[]>())
  /** What was said in reply to a message, by its id, where somebody has looked. */
  const threads = shallowReactive(new Map<string, Replies>())
  /** Up to which version everything of a conversation is known here. */
  const held = new Map<string, number>()
  /** The version at which `unread_count` was true; what is newer is counted on top. */
  const countedAt = new Map<string, number>()

  const me = computed(() => session.me?.user.id ?? '')
  const ordered = computed(() => [...conversations.values()].filter(({ my }) => !my.archived).sort(byPlace))
  const archived = computed(() => [...conversations.values()].filter(({ my }) => my.archived).sort(byPlace))
  const unreadTotal = computed(() => ordered.value.reduce((sum, { unread_count }) => sum + unread_count, 0))

  /** Takes a conversation from an answer meant for me: its counts and positions are mine. */
  function putConversation(conversation: Conversation): void {
    const known = conversations.get(conversation.id)
    held.set(conversation.id, Math.max(held.get(conversation.id) ?? 0, known ? 0 : conversation.version))
    if (known && known.version > conversation.version) return
    countedAt.set(conversation.id, conversation.version)
    const lastRead = Math.max(conversation.my.last_read_seq, known?.my.last_read_seq ?? 0)
    conversations.set(conversation.id, {
      ...conversation,
      participants: withOthers(conversation.participants, known?.participants ?? []).slice(0, conversation.participant_count),
      my: { ...conversation.my, last_read_seq: lastRead }
    })
  }

  /** Takes what everybody sees of a conversation, and leaves what is mine as it is. */
  function putShared(conversation: Partial<Conversation> & { id: string; version: number }): void {
    const known = conversations.get(conversation.id)
    if (!known || known.version > conversation.version) return
    const { my, unread_count, participant } = known
    conversations.set(conversation.id, { ...known, ...conversation, my, unread_count, participant })
  }

  /** Takes what a conversation is to me alone; a position that I have reached here is not taken back. */
  function putMine(conversationId: string, my: Mine): void {
    const known = conversations.get(conversationId)
    if (!known) return
    conversations.set(conversationId, { ...known, my: { ...my, last_read_seq: Math.max(my.last_read_seq, known.my.last_read_seq) } })
  }

  /** Takes what happened to a person; without `what` it is how they stand now. */
  function putParticipant(conversationId: string, version: number, participant: Participant, what?: Coming): void {
    const known = conversations.get(conversationId)
    if (!known) return
    const isNews = version > (held.get(conversationId) ?? 0)
    const { participants, participant_count } = putPerson(known, participant, what, isNews)
    conversations.set(conversationId, {
      ...known,
      participants: [...participants],
      participant_count,
      version: Math.max(known.version, version)
    })
  }

  /** Adds people beyond the first hundred, as they were just read. */
  function putPeople(conversationId: string, others: readonly Participant[]): void {
    const known = conversations.get(conversationId)
    if (known) conversations.set(conversationId, { ...known, participants: withOthers(known.participants, others) })
  }

  /** Puts a message into the history and the list, and counts it where it is new and unread. */
  function receive(message: Message): void {
    const known = conversations.get(message.conversation_id)
    const timeline = timelines.get(message.conversation_id)
    if (timeline) timelines.set(message.conversation_id, putMessage(timeline, message))
    if ((quoted.get(message.id)?.version ?? message.version) < message.version) quoted.set(message.id, message)
    putPin(message)
    const thread = threads.get(message.reply_to_id ?? '')
    if (thread) threads.set(message.reply_to_id!, putReply(thread, message))
    if (!known) return
    // What the system says of my doing is not mine: it moves no position.
    const mine = message.sender_id === me.value && message.content_type !== 'system'
    const isNew = message.seq > known.last_seq
    const isLast = isNew || (message.id === known.last_message?.id && message.version > known.last_message.version)
    const back = isNew && known.my.archived && !isMuted(known.my) ? { archived: false } : {}
    const my = { ...known.my, ...back, ...(mine && message.seq > known.my.last_read_seq ? { last_read_seq: message.seq } : {}) }
    const counts = isNew && message.version > (countedAt.get(known.id) ?? 0) && isUnreadFor(message, me.value, my.last_read_seq)
    conversations.set(known.id, {
      ...known,
      my,
      version: Math.max(known.version, message.version),
      last_seq: Math.max(known.last_seq, message.seq),
      last_message: isLast ? message : known.last_message,
      last_message_at: isNew ? message.created_at : known.last_message_at,
      unread_count: mine && isNew ? 0 : known.unread_count + (counts ? 1 : 0),
      mention_count: mine && isNew ? 0 : known.mention_count + (counts && callsMe(message, me.value) ? 1 : 0)
    })
    recount(known.id)
  }

  function putPin(message: Message): void {
    const list = pins.get(message.conversation_id)
    if (!list) return
    const at = list.findIndex(({ id }) => id === message.id)
    if (at < 0 ? !message.is_pinned : list[at]!.version >= message.version) return
    const others = list.filter(({ id }) => id !== message.id)
    if (!message.is_pinned) pins.set(message.conversation_id, others)
    else pins.set(message.conversation_id, at < 0 ? [message, ...list] : list.with(at, message))
  }

  /** Keeps a message for those that reply to it; the oldest of many are let go and read again when they are shown. */
  function quote(id: string, message: Message | undefined): void {
    quoted.set(id, message)
    if (quoted.size > QUOTED_MAX) quoted.delete(quoted.keys().next().value!)
  }

  function setUnread(conversationId: string, unreadCount: number, version?: number): void {
    const known = conversations.get(conversationId)
    if (version !== undefined) countedAt.set(conversationId, Math.max(version, countedAt.get(conversationId) ?? 0))
    if (!known || known.unread_count === unreadCount) return
    conversations.set(conversationId, { ...known, unread_count: unreadCount, mention_count: Math.min(known.mention_count, unreadCount) })
  }

  /** Moves a read position forward, never back. Mine also decides what is unread. */
  function setRead(conversationId: string, userId: string, seq: number): void {
    const known = conversations.get(conversationId)
    if (!known) return
    const participants = known.participants.map(participant =>
      participant.user_id === userId && participant.last_read_seq < seq ? { ...participant, last_read_seq: seq } : participant
    )
    const my = userId === me.value && known.my.last_read_seq < seq ? { ...known.my, last_read_seq: seq } : known.my
    conversations.set(conversationId, { ...known, participants, my })
    if (my !== known.my) recount(conversationId)
  }

  /** Where the history at hand reaches from my position to the end, the count is made from it. */
  function recount(conversationId: string): void {
    const known = conversations.get(conversationId)
    const timeline = timelines.get(conversationId)
    const count = known && timeline && countUnread(timeline, me.value, known.my.last_read_seq)
    if (!known || !count || (count.unread === known.unread_count && count.mentions === known.mention_count)) return
    conversations.set(conversationId, { ...known, unread_count: count.unread, mention_count: count.mentions })
  }

  function setTimeline(conversationId: string, timeline: Timeline): void {
    timelines.set(conversationId, timeline)
    recount(conversationId)
  }

  /** Notes that everything up to a version is known; false says that something before it is missing. */
  function advance(conversationId: string, version: number): boolean {
    const before = held.get(conversationId) ?? 0
    if (version > before + 1) return false
    held.set(conversationId, Math.max(before, version))
    return true
  }

  /** Notes that everything up to a version is known, because the server has just sent all of it. */
  function caughtUp(conversationId: string, version: number): void {
    held.set(conversationId, Math.max(held.get(conversationId) ?? 0, version))
  }

  /** Lets go of what came bit by bit, since some of it may be missing. */
  function startOver(conversationId: string): void {
    const known = conversations.get(conversationId)
    timelines.delete(conversationId)
    pins.delete(conversationId)
    threads.clear()
    if (known) conversations.set(conversationId, { ...known, participants: [] })
  }

  function remove(conversationId: string): void {
    conversations.delete(conversationId)
    timelines.delete(conversationId)
    held.delete(conversationId)
    countedAt.delete(conversationId)
    pins.delete(conversationId)
  }

  function clear(): void {
    for (const id of [...conversations.keys()]) remove(id)
    timelines.clear()
    quoted.clear()
    pins.clear()
    threads.clear()
  }

  return {
    conversations,
    timelines,
    held,
    me,
    quoted,
    pins,
    threads,
    ordered,
    archived,
    unreadTotal,
    putConversation,
    putShared,
    putMine,
    quote,
    putParticipant,
    putPeople,
    receive,
    setUnread,
    setRead,
    setTimeline,
    advance,
    caughtUp,
    startOver,
    remove,
    clear
  }
})

/** What I hold at the top, then the newest activity. */
function byPlace(a: Conversation, b: Conversation): number {
  if (a.my.pinned !== b.my.pinned) return a.my.pinned ? -1 : 1
  const [ofA, ofB] = [a.last_message_at ?? a.created_at, b.last_message_at ?? b.created_at]
  return ofA === ofB ? (a.id < b.id ? 1 : -1) : ofA < ofB ? 1 : -1
}
