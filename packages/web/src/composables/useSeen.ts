import { onScopeDispose, type Ref } from 'vue'

const SEEN_MS = 500

/** Tells up to which seq a list was seen: what was in view twice in a row, half a second apart. */
export function useSeen(scroller: Readonly<Ref<HTMLElement | null>>, isWanted: () => boolean, tell: (seq: number) => void): void {
  let before = 0
  const watcher = setInterval(() => {
    if (!isWanted()) return
    const now = highestIn(scroller.value)
    const seq = Math.min(now, before)
    before = now
    if (seq > 0) tell(seq)
  }, SEEN_MS)
  onScopeDispose(() => clearInterval(watcher))
}

/** The highest seq of which at least the upper half is in view. */
function highestIn(scroller: HTMLElement | null): number {
  const view = scroller?.getBoundingClientRect()
  // Under a panel nothing is seen.
  if (!view || scroller?.checkVisibility?.({ visibilityProperty: true }) === false) return 0
  let highest = 0
  for (const element of scroller!.querySelectorAll<HTMLElement>('[data-seq]')) {
    const { top, height } = element.getBoundingClientRect()
    if (top + Math.min(height / 2, view.height / 2) <= view.bottom && top + height > view.top) {
      highest = Math.max(highest, Number(element.dataset.seq))
    }
  }
  return highest
}
