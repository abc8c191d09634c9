import { onScopeDispose, ref } from 'vue'

/** Whether there is room for one level alone. The same width stands in the styles, where it cannot be a variable. */
export function useNarrow() {
  const query = matchMedia('(width < 768px)')
  const narrow = ref(query.matches)
  const update = () => (narrow.value = query.matches)
  query.addEventListener('change', update)
  onScopeDispose(() => query.removeEventListener('change', update))
  return narrow
}
