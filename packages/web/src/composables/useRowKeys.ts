import { computed, nextTick, type Ref, ref } from 'vue'
import { COMMON } from '../stores/reactionStore.ts'
import type { MessageRow } from '../stores/rows.ts'

/** What can be done with a message. */
export type Action = 'react' | 'reply' | 'replies' | 'forward' | 'copy' | 'pin' | 'readers' | 'edit' | 'remove'
type Step = number | 'first' | 'last'

const STEPS: Record<string, Step> = { ArrowUp: -1, ArrowDown: 1, PageUp: -8, PageDown: 8, Home: 'first', End: 'last' }
const ACTIONS: Record<string, Action> = { Delete: 'remove', e: 'edit', c: 'copy', r: 'reply', t: 'replies', p: 'pin', '+': 'react' }

interface Options {
  rows: Ref<readonly MessageRow[]>
  scroller: Readonly<Ref<HTMLElement | null>>
  /** Whether Tab leads to the first line, and not to the last. */
  fromStart?: boolean
  reveal(row: MessageRow): void
  act(action: Action, row: MessageRow): void
  react(emoji: string, row: MessageRow): void
}

/** The keys of a thread: one message can take the focus by Tab, the arrows pass it on, and some letters act on it. */
export function useRowKeys({ rows, scroller, fromStart = false, reveal, act, react }: Options) {
  const focused = ref<string>()
  const current = computed(() => focused.value ?? rows.value.at(fromStart ? 0 : -1)?.key)

  function onFocus(key: string | undefined): void {
    focused.value = key
  }

  async function step(by: Step): Promise<void> {
    const last = rows.value.length - 1
    const at = rows.value.findIndex(({ key }) => key === current.value)
    const row = rows.value[by === 'first' ? 0 : by === 'last' ? last : Math.min(Math.max(at + by, 0), last)]
    if (!row) return
    reveal(row)
    await focus(row)
  }

  /** Gives a row the focus once it is drawn. */
  async function focus(row: MessageRow): Promise<void> {
    focused.value = row.key
    await nextTick()
    requestAnimationFrame(() => scroller.value?.querySelector<HTMLElement>('article[tabindex="0"]')?.focus({ preventScroll: true }))
  }

  function onKey(event: KeyboardEvent): void {
    const onRow = event.target instanceof HTMLElement && event.target.tagName === 'ARTICLE'
    if (!onRow || event.ctrlKey || event.metaKey || event.altKey) return
    const row = rows.value.find(({ key }) => key === current.value)
    const key = keyOf(event)
    const by = STEPS[key]
    const action = ACTIONS[key]
    const emoji = COMMON[Number(key) - 1]
    if (by !== undefined) void step(by)
    else if (row && action) act(action, row)
    else if (row && emoji) react(emoji, row)
    else return
    event.preventDefault()
  }

  return { current, onFocus, onKey, focus }
}

/** The letter that was written, and where a layout writes no Latin one, the one that stands there on a Latin keyboard. */
function keyOf({ key, code }: KeyboardEvent): string {
  if (key.length > 1 || /^[a-z0-9+]$/i.test(key)) return key.length > 1 ? key : key.toLowerCase()
  return /^(?:Key|Digit)(.)$/.exec(code)?.[1]?.toLowerCase() ?? key
}
