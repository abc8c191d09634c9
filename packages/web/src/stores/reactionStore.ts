import { defineStore } from 'pinia'
import { shallowReactive } from 'vue'
import type { Message } from '../api/types.ts'
import { useMessagingStore } from './messagingStore.ts'

/** Offered for every message, beside those that it has already. */
export const COMMON = ['👍', '❤️', '😂', '🎉', '🙏', '👀'] as const

export interface Chip {
  emoji: string
  count: number
  mine: boolean
  userIds: readonly string[]
}

/** What I want of reactions whose request is still under way: shown at once, and undone where it is refused. */
export const useReactionStore = defineStore('reactions', () => {
  const messaging = useMessagingStore()
  const wanted = shallowReactive(new Map<string, boolean>())
  /** Whether a reaction of many people is mine as well, as an answer has told; a message names only the first of them. */
  const told = shallowReactive(new Map<string, boolean>())
  const busy = new Set<string>()

  const keyOf = (message: Message, emoji: string): string => `${message.id}/${emoji}`

  /** The reactions of a message as I see them, with what I have just done. */
  function chipsOf(message: Message): Chip[] {
    const { me } = messaging
    const chips: Chip[] = []
    for (const { emoji, count, user_ids } of message.reactions) {
      const was = user_ids.includes(me) || (user_ids.length < count && told.get(keyOf(message, emoji)) === true)
      const is = wanted.get(keyOf(message, emoji)) ?? was
      const others = user_ids.filter(id => id !== me)
      const userIds = is === user_ids.includes(me) ? user_ids : is ? [me, ...others] : others
      if (is !== was ? count + (is ? 1 : -1) > 0 : count > 0) {
        chips.push({ emoji, count: is === was ? count : count + (is ? 1 : -1), mine: is, userIds })
      }
    }
    for (const [key, is] of wanted) {
      const [id, emoji] = key.split('/') as [string, string]
      if (id === message.id && is && !message.reactions.some(known => known.emoji === emoji)) {
        chips.push({ emoji, count: 1, mine: true, userIds: [me] })
      }
    }
    return chips
  }

  /** Whether nobody here knows if I am among those who reacted. */
  function isUnsure(message: Message, emoji: string): boolean {
    const known = message.reactions.find(reaction => reaction.emoji === emoji)
    if (!known || known.user_ids.length >= known.count || known.user_ids.includes(messaging.me)) return false
    return !told.has(keyOf(message, emoji))
  }

  /**
   * Turns my reaction on or off. However often it is turned while a request is under way, the last state is asked for
   * last, so both sides end with it.
   *
   * @throws what `tell` throws; then the reaction is as the server has it
   */
  async function toggle(message: Message, emoji: string, tell: (on: boolean) => Promise<Message>): Promise<void> {
    const key = keyOf(message, emoji)
    const unsure = isUnsure(message, emoji)
    const is = chipsOf(message).some(chip => chip.emoji === emoji && chip.mine)
    wanted.set(key, !is)
    if (busy.has(key)) return
    busy.add(key)
    try {
      for (;;) {
        const on = wanted.get(key)!
        const { version } = await tell(on)
        told.set(key, on)
        // Nothing has changed: it was there, and is to be taken back.
        if (unsure && on && version === message.version && wanted.get(key) === on) wanted.set(key, false)
        if (wanted.get(key) === on) break
      }
    } finally {
      wanted.delete(key)
      busy.delete(key)
    }
  }

  return { chipsOf, toggle }
})
