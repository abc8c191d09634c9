import { defineStore } from 'pinia'
import { ref, watch } from 'vue'
import { kept } from './storage.ts'

const RECENT_MAX = 16

/** Which emojis this browser's people have chosen last, and in which skin tone. */
export const useEmojiStore = defineStore('emojis', () => {
  const recent = ref<readonly string[]>(kept.get<string[]>('emojis') ?? [])
  const tone = ref(kept.get<string>('tone') ?? '')

  function use(emoji: string): void {
    recent.value = [emoji, ...recent.value.filter(other => other !== emoji)].slice(0, RECENT_MAX)
    kept.set('emojis', recent.value)
  }

  watch(tone, now => kept.set('tone', now || undefined))

  return { recent, tone, use }
})
