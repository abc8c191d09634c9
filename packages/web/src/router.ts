import { computed, ref } from 'vue'

/** The address is the truth about which conversation is open: `/` or `/messages/:conversation_id`. */
const path = ref(location.pathname)
addEventListener('popstate', () => (path.value = location.pathname))

export const openConversation = computed(() => /^\/messages\/([^/]+)/.exec(path.value)?.[1])

export function addressOf(conversationId: string): string {
  return `/messages/${conversationId}`
}

export function go(to: string, { replace = false } = {}): void {
  if (to === path.value) return
  if (replace) history.replaceState(history.state, '', to)
  else history.pushState({ depth: depth() + 1 }, '', to)
  path.value = to
}

/** Back to where one came from inside the page, or to the list where one came by a link. */
export function goBack(): void {
  if (depth() > 0) history.back()
  else go('/', { replace: true })
}

function depth(): number {
  return (history.state as { depth?: number } | null)?.depth ?? 0
}
