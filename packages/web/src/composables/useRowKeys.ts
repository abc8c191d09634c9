import { computed, nextTick, type Ref, ref } from 'vue'
import type { MessageRow } from '../stores/rows.ts'

type Action = 'edit' | 'remove' | 'copy'
type Step = number | 'first' | 'last'

const STEPS: Record<string, Step> = { ArrowUp: -1, ArrowDown: 1, PageUp: -8, PageDown: 8, Home: 'first', End: 'last' }
const ACTIONS: Record<string, Action> = { Delete: 'remove', e: 'edit', c: 'copy' }

interface Options {
  rows: Ref<readonly MessageRow[]>
  scroller: Readonly<Ref<HTMLElement | null>>
  reveal(row: MessageRow): void
  act(action: Action, row: MessageRow): void
}

/** The keys of a thread: one message can take the focus by Tab, the arrows pass it on, and some letters act on it. */
export function useRowKeys({ rows, scroller, reveal, act }: Options) {
  const focused = ref<string>()
  const current = computed(() => focused.value ?? rows.value.at(-1)?.key)

  function onFocus(key: string | undefined): void {
    focused.value = key
  }

  /** A row that is not drawn yet is brought into view first. */
  async function step(by: Step): Promise<void> {
    const last = rows.value.length - 1
    const at = rows.value.findIndex(({ key }) => key === current.value)
    const row = rows.value[by === 'first' ? 0 : by === 'last' ? last : Math.min(Math.max(at + by, 0), last)]
    if (!row) return
    focused.value = row.key
    reveal(row)
    await nextTick()
    requestAnimationFrame(() => scroller.value?.querySelector<HTMLElement>('article[tabindex="0"]')?.focus({ preventScroll: true }))
  }

  function onKey(event: KeyboardEvent): void {
    const onRow = event.target instanceof HTMLElement && event.target.tagName === 'ARTICLE'
    if (!onRow || event.ctrlKey || event.metaKey || event.altKey) return
    const row = rows.value.find(({ key }) => key === current.value)
    const by = STEPS[event.key]
    const action = ACTIONS[event.key.length === 1 ? event.key.toLowerCase() : event.key]
    if (by !== undefined) void step(by)
    else if (row && action) act(action, row)
    else return
    event.preventDefault()
  }

  return { current, onFocus, onKey }
}
