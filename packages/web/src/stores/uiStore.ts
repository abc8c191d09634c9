import { defineStore } from 'pinia'
import { ref } from 'vue'

const TOAST_MS = 4_000

/** What is said in passing: a line on the screen, and words for whoever does not see it. */
export const useUiStore = defineStore('ui', () => {
  const toast = ref<string>()
  const announcement = ref('')
  let toastTimer: ReturnType<typeof setTimeout> | undefined
  let announceTimer: ReturnType<typeof setTimeout> | undefined
  let waiting: string[] = []

  function say(text: string): void {
    toast.value = text
    clearTimeout(toastTimer)
    toastTimer = setTimeout(() => (toast.value = undefined), TOAST_MS)
  }

  /** Speaks at most once a second: a single arrival in full, several as what `many` makes of their number. */
  function announce(text: string, many: (count: number) => string): void {
    waiting.push(text)
    if (announceTimer) return
    announceTimer = setTimeout(() => {
      announcement.value = waiting.length === 1 ? waiting[0]! : many(waiting.length)
      waiting = []
      announceTimer = undefined
    }, 1_000)
  }

  return { toast, announcement, say, announce }
})
