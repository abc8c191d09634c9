import { computed, ref } from 'vue'

/**
 * The address is the truth about what is open: `/` or `/messages/:conversation_id`, with a message that it leads to, and
 * with a panel beside it. So the browser's own way back closes a panel.
 */
const place = ref(here())
addEventListener('popstate', () => (place.value = here()))

const PANELS = ['search', 'details', 'pins', 'replies'] as const
export type Panel = (typeof PANELS)[number]

const parts = computed(() => /^\/messages\/([^/?]+)(?:\/([^/?]+))?/.exec(place.value))
export const openConversation = computed(() => parts.value?.[1])
export const openMessage = computed(() => parts.value?.[2])
const query = computed(() => new URLSearchParams(place.value.split('?')[1]))
export const openPanel = computed(() => PANELS.find(panel => panel === query.value.get('panel')))
/** The message whose replies are shown beside. */
export const openReplies = computed(() => (openPanel.value === 'replies' ? (query.value.get('of') ?? undefined) : undefined))
/** Grows with each wish to be led to a message, also to the one that the address names already. */
export const leads = ref(0)

export function addressOf(conversationId: string, messageId?: string): string {
  return messageId ? `/messages/${conversationId}/${messageId}` : `/messages/${conversationId}`
}

export function go(to: string, { replace = false, beside = false } = {}): void {
  if (to === place.value) return
  if (replace) history.replaceState(history.state, '', to)
  else history.pushState({ depth: depth() + 1, beside } satisfies State, '', to)
  place.value = to
}

/** Leads to a message; on a phone the panel that named it makes way. */
export function goToMessage(conversationId: string, messageId: string, keepPanel: boolean): void {
  go(addressOf(conversationId, messageId) + (keepPanel && openPanel.value ? `?${query.value}` : ''))
  leads.value += 1
}

/** Opens a panel beside what is open; that of replies names the message that they answer. */
export function openBeside(panel: Panel, of?: string): void {
  const wanted = new URLSearchParams({ panel })
  if (of) wanted.set('of', of)
  go(`${place.value.split('?')[0]}?${wanted}`, { replace: openPanel.value !== undefined, beside: true })
}

/** Undoes what opened the panel, so that the way back does not lead through it once more. */
export function closePanel(): void {
  if (state()?.beside) history.back()
  else go(place.value.split('?')[0]!, { replace: true })
}

/** Back to where one came from inside the page, or to the list where one came by a link. */
export function goBack(): void {
  if (depth() > 0) history.back()
  else go('/', { replace: true })
}

type State = { depth: number; beside: boolean }

function state(): Partial<State> | null {
  return history.state
}

function depth(): number {
  return state()?.depth ?? 0
}

function here(): string {
  return location.pathname + location.search
}
