import { defineStore } from 'pinia'
import { shallowReactive } from 'vue'
import { useMessagingStore } from './messagingStore.ts'
import { kept } from './storage.ts'

/** What was written and not sent, for each person and conversation, in this browser. */
export const useDraftStore = defineStore('drafts', () => {
  const messaging = useMessagingStore()
  const drafts = shallowReactive(new Map(kept.keys('draft.').map(key => [key, kept.get<string>(key) ?? ''])))

  function keyOf(conversationId: string): string {
    return `draft.${messaging.me}.${conversationId}`
  }

  function read(conversationId: string): string {
    return drafts.get(keyOf(conversationId)) ?? ''
  }

  function write(conversationId: string, text: string): void {
    const key = keyOf(conversationId)
    const draft = text.trim() ? text : ''
    if ((drafts.get(key) ?? '') === draft) return
    drafts.set(key, draft)
    kept.set(key, draft || undefined)
  }

  // What another window of the same person writes shows here as well.
  addEventListener('storage', event => {
    const key = event.key?.replace(/^parley\./, '')
    if (key?.startsWith('draft.')) drafts.set(key, kept.get<string>(key) ?? '')
  })

  return { read, write }
})
