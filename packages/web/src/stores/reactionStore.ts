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
  const busy = new Set<string>()

  const keyOf = (message: Message, emoji: string): string => `${message.id}/${emoji}`

  /** The reactions of a message as I see them, with what I have just done. */
  function chipsOf(message: Message): Chip[] {
    const { me } = messaging
    const chips: Chip[] = []
    for (const { emoji, count, user_ids } of message.reactions) {
      const was = user_ids.includes(me)
      const is = wanted.get(keyOf(message, emoji)) ?? was
      const userIds = is === was ? user_ids : is ? [...user_ids, me] : user_ids.filter(id => id !== me)
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

  /**
   * Turns my reaction on or off. However often it is turned while a request is under way, the last state is asked for
   * last, so both sides end with it.
   *
   * @throws what `tell` throws; then the reaction is as the server has it
   */
  async function toggle(message: Message, emoji: string, tell: (on: boolean) => Promise<void>): Promise<void> {
    const key = keyOf(message, emoji)
    const is = chipsOf(message).some(chip => chip.emoji === emoji && chip.mine)
    wanted.set(key, !is)
    if (busy.has(key)) return
    busy.add(key)
    try {
      for (;;) {
        const on = wanted.get(key)!
        await tell(on)
        if (wanted.get(key) === on) break
      }
    } finally {
      wanted.delete(key)
      busy.delete(key)
    }
  }

  return { chipsOf, toggle }
})
