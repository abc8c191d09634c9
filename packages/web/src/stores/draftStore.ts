import { defineStore } from 'pinia'
import { shallowReactive } from 'vue'
import { useMessagingStore } from './messagingStore.ts'
import { kept } from './storage.ts'

/** The server is told once somebody stops to think. */
const TELL_MS = 1_000
/** What the server says just after it was told may be from before, and must not take back what is being written. */
const QUIET_MS = 3_000

type Tell = (conversationId: string, draft: string | null) => Promise<unknown>

/**
 * What was written and not sent, for each person and conversation. It is kept in this browser and follows the person to
 * their other devices; where two are written at once, what was written here stays here. A reply that is written beside
 * its message has a draft of its own, under `conversation/message`, which this browser keeps for itself.
 */
export const useDraftStore = defineStore('drafts', () => {
  const messaging = useMessagingStore()
  const drafts = shallowReactive(new Map(kept.keys('draft.').map(key => [key, kept.get<string>(key) ?? ''])))
  const timers = new Map<string, ReturnType<typeof setTimeout>>()
  const toldAt = new Map<string, number>()
  let how: Tell | undefined

  function keyOf(conversationId: string): string {
    return `draft.${messaging.me}.${conversationId}`
  }

  function read(conversationId: string): string {
    return drafts.get(keyOf(conversationId)) ?? ''
  }

  /** What the server is known to have. */
  function known(conversationId: string): string {
    return kept.get<string>(`known-${keyOf(conversationId)}`) ?? ''
  }

  function know(conversationId: string, draft: string): void {
    if (known(conversationId) !== draft) kept.set(`known-${keyOf(conversationId)}`, draft || undefined)
  }

  function put(conversationId: string, draft: string): void {
    drafts.set(keyOf(conversationId), draft)
    kept.set(keyOf(conversationId), draft || undefined)
  }

  function write(conversationId: string, text: string): void {
    const draft = text.trim() ? text : ''
    if (read(conversationId) === draft) return
    put(conversationId, draft)
    clearTimeout(timers.get(conversationId))
    timers.set(
      conversationId,
      setTimeout(() => void tell(conversationId), TELL_MS)
    )
  }

  async function tell(conversationId: string): Promise<void> {
    timers.delete(conversationId)
    if (conversationId.includes('/')) return
    const draft = read(conversationId)
    if (!how || draft === known(conversationId)) return
    toldAt.set(conversationId, Date.now())
    try {
      await how(conversationId, draft || null)
      know(conversationId, draft)
    } catch {
      // It is told again at the next word, or when the connection is back.
    }
    toldAt.set(conversationId, Date.now())
  }

  /** Takes what another device wrote, unless something is being written here that it does not know of. */
  function take(conversationId: string, remote: string | null): void {
    const draft = remote ?? ''
    const here = read(conversationId)
    if (isSame(here, draft)) return know(conversationId, here)
    const isQuiet = !timers.has(conversationId) && Date.now() - (toldAt.get(conversationId) ?? 0) > QUIET_MS
    if (!isQuiet || here !== known(conversationId)) return
    put(conversationId, draft)
    know(conversationId, draft)
  }

  /** Begins to tell the server through `tellServer`; without it drafts stay in this browser. */
  function connect(tellServer: Tell | undefined): void {
    how = tellServer
    if (!how) return
    const mine = keyOf('')
    // Also those that were taken away here while the server was not heard.
    const keys = new Set([...drafts.keys(), ...kept.keys(`known-${mine}`).map(key => key.slice('known-'.length))])
    for (const key of keys) if (key.startsWith(mine)) void tell(key.slice(mine.length))
  }

  // What another window of the same person writes shows here as well.
  addEventListener('storage', event => {
    const key = event.key?.replace(/^parley\./, '')
    if (key?.startsWith('draft.')) drafts.set(key, kept.get<string>(key) ?? '')
  })

  return { read, write, take, connect }
})

/** The server cleans what it keeps: a space at the end is no difference. */
function isSame(a: string, b: string): boolean {
  return a.trim().normalize() === b.trim().normalize()
}
