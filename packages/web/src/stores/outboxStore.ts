import { defineStore } from 'pinia'
import { shallowRef } from 'vue'
import { uuidv7 } from '../text/uuid.ts'
import { windowKept } from './storage.ts'

/** A message on its way. Its client_message_id is its identity before and after it is stored. */
export interface Pending {
  client_message_id: string
  conversation_id: string
  content: string
  reply_to_id?: string
  created_at: string
  state: 'queued' | 'sending' | 'failed'
  /** Why the server refused it, or why it waits. */
  code?: string
}

/** How the outbox learns of what became of one attempt. */
export type Outcome =
  | { kind: 'stored' }
  | { kind: 'later'; afterMs: number; code?: string }
  | { kind: 'lost' }
  | { kind: 'refused'; code: string }

/**
 * Messages that are not known to be stored. One at a time for each conversation, in order, each with the
 * same client_message_id on every attempt; kept over a reload of the window.
 */
export const useOutboxStore = defineStore('outbox', () => {
  const entries = shallowRef<readonly Pending[]>([])
  const busy = new Set<string>()
  let storageKey = 'outbox'
  let attempt: ((entry: Pending) => Promise<Outcome>) | undefined

  /** Takes up what this window had not sent when it was left. */
  function restore(userId: string): void {
    storageKey = `outbox.${userId}`
    const left = windowKept.get<Pending[]>(storageKey) ?? []
    entries.value = left.map(entry => (entry.state === 'sending' ? { ...entry, state: 'queued' } : entry))
  }

  function add(conversationId: string, content: string, replyToId?: string): Pending {
    const entry: Pending = {
      client_message_id: uuidv7(),
      conversation_id: conversationId,
      content,
      ...(replyToId ? { reply_to_id: replyToId } : {}),
      created_at: new Date().toISOString(),
      state: 'queued'
    }
    keep([...entries.value, entry])
    void pump(conversationId)
    return entry
  }

  /** Begins to send through `how`; without it entries wait. */
  function connect(how: ((entry: Pending) => Promise<Outcome>) | undefined): void {
    attempt = how
    if (how) for (const id of new Set(entries.value.map(entry => entry.conversation_id))) void pump(id)
  }

  async function pump(conversationId: string): Promise<void> {
    if (busy.has(conversationId)) return
    busy.add(conversationId)
    try {
      for (;;) {
        const how = attempt
        const entry = entries.value.find(({ conversation_id, state }) => conversation_id === conversationId && state !== 'failed')
        if (!how || !entry) return
        change(entry.client_message_id, { state: 'sending' })
        const outcome = await how(entry)
        if (outcome.kind === 'stored') settle(entry.client_message_id)
        else if (outcome.kind === 'refused') change(entry.client_message_id, { state: 'failed', code: outcome.code })
        else if (outcome.kind === 'lost') {
          change(entry.client_message_id, { state: 'queued' })
          return
        } else {
          change(entry.client_message_id, { state: 'queued', ...(outcome.code ? { code: outcome.code } : {}) })
          await new Promise(resolve => setTimeout(resolve, outcome.afterMs))
        }
      }
    } finally {
      busy.delete(conversationId)
      // The way may have come back while the last attempt was being given up. Not at once: a socket that
      // is closing refuses in the same tick, and would be asked again before it can say that it is gone.
      if (attempt && entries.value.some(({ conversation_id, state }) => conversation_id === conversationId && state === 'queued')) {
        setTimeout(() => void pump(conversationId), 250)
      }
    }
  }

  /** Takes an entry out once its message is known to be stored, whoever told so. */
  function settle(clientMessageId: string): void {
    if (entries.value.some(entry => entry.client_message_id === clientMessageId)) {
      keep(entries.value.filter(entry => entry.client_message_id !== clientMessageId))
    }
  }

  function retry(clientMessageId: string): void {
    const entry = entries.value.find(({ client_message_id }) => client_message_id === clientMessageId)
    if (!entry) return
    // It goes to the end: what was written after it may be stored already.
    const { code: _, ...fresh } = entry
    keep([...entries.value.filter(other => other !== entry), { ...fresh, state: 'queued' }])
    void pump(entry.conversation_id)
  }

  function change(clientMessageId: string, to: Partial<Pending>): void {
    keep(entries.value.map(entry => (entry.client_message_id === clientMessageId ? { ...entry, ...to } : entry)))
  }

  function keep(next: readonly Pending[]): void {
    entries.value = next
    windowKept.set(storageKey, next.length > 0 ? next : undefined)
  }

  return { entries, restore, add, connect, settle, retry }
})
