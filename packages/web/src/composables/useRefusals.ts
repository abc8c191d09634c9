import { ApiError } from '../api/rest.ts'
import { type Key, t } from '../i18n/index.ts'
import { useUiStore } from '../stores/uiStore.ts'

const REFUSALS = {
  too_many_reactions: 'refused_too_many_reactions',
  too_many_pins: 'refused_too_many_pins',
  conversation_locked: 'failed_conversation_locked',
  conversation_archived: 'failed_conversation_archived',
  conversation_full: 'refused_conversation_full',
  not_a_participant: 'failed_not_a_participant',
  forbidden: 'refused_forbidden',
  user_not_found: 'refused_user_not_found',
  read_only: 'failed_read_only',
  blocked: 'failed_blocked'
} as const satisfies Record<string, Key>

/** Says what refused a deed, in words of its own where there are some. */
export function useRefusals() {
  const ui = useUiStore()

  function sayWhy(error: unknown, otherwise: Key): void {
    const code = error instanceof ApiError ? error.code : ''
    ui.say(t(code in REFUSALS ? REFUSALS[code as keyof typeof REFUSALS] : otherwise))
  }

  return { sayWhy }
}
