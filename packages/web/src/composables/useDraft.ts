import { onBeforeUnmount, onMounted, ref, watch } from 'vue'
import { useDraftStore } from '../stores/draftStore.ts'

const DRAFT_MS = 300

/** A text that is kept while it is written, under a key; without one it is nothing but a text. */
export function useDraft(key: string | undefined, initial: string) {
  const drafts = useDraftStore()
  const text = ref(key === undefined ? initial : drafts.read(key))
  let timer: ReturnType<typeof setTimeout> | undefined

  function keep(): void {
    clearTimeout(timer)
    if (key !== undefined) drafts.write(key, text.value)
  }

  function clear(): void {
    text.value = ''
    if (key !== undefined) drafts.write(key, '')
  }

  watch(text, () => {
    clearTimeout(timer)
    timer = setTimeout(keep, DRAFT_MS)
  })
  // What was written on another device comes here, unless something else is being written.
  watch(
    () => (key === undefined ? '' : drafts.read(key)),
    (now, before) => {
      if (key !== undefined && (text.value.trim() ? text.value : '') === before) text.value = now
    }
  )
  onMounted(() => addEventListener('pagehide', keep))
  onBeforeUnmount(() => {
    removeEventListener('pagehide', keep)
    keep()
  })
  return { text, clear }
}
