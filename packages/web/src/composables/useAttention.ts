import { onScopeDispose, ref } from 'vue'

/** Whether somebody may be looking: the window has the focus and its tab is shown. */
export function useAttention() {
  const attentive = ref(look())
  const update = () => (attentive.value = look())
  addEventListener('focus', update)
  addEventListener('blur', update)
  document.addEventListener('visibilitychange', update)
  onScopeDispose(() => {
    removeEventListener('focus', update)
    removeEventListener('blur', update)
    document.removeEventListener('visibilitychange', update)
  })
  return attentive
}

function look(): boolean {
  return document.visibilityState === 'visible' && document.hasFocus()
}
