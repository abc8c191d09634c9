import { computed, ref, shallowRef } from 'vue'
import type { Conversation } from '../api/types.ts'
import { t } from '../i18n/index.ts'
import { useMessagingStore } from '../stores/messagingStore.ts'
import { knowsEveryone } from '../stores/people.ts'
import { fold } from '../text/fold.ts'
import { mentionBefore } from '../text/mentions.ts'
import { usePeople } from './usePeople.ts'

const SHOWN = 6

/** Who may be meant by the name that is being written; `id` is undefined for everyone. */
export interface Candidate {
  id: string | undefined
  username: string
  name: string
}

/** Completes the names that are written after an `@` with people of the conversation. */
export function useMentions(conversation: () => Conversation) {
  const messaging = useMessagingStore()
  const { loadMore } = usePeople()
  const open = shallowRef<{ at: number; query: string }>()
  const chosen = ref(0)
  /** Whether an arrow was pressed: before that a reader of the screen is not interrupted. */
  const moved = ref(false)
  let asked = false

  const candidates = computed<Candidate[]>(() => {
    if (!open.value) return []
    const wanted = fold(open.value.query)
    const people = conversation()
      .participants.filter(({ user_id, username }) => user_id !== messaging.me && username !== '')
      .filter(({ username, display_name }) => [username, ...display_name.split(/\s+/u)].some(name => fold(name).startsWith(wanted)))
      .map(({ user_id, username, display_name }) => ({ id: user_id, username, name: display_name }))
    const all = conversation().my.capabilities.includes('mention_all') && conversation().type !== 'direct' && 'all'.startsWith(wanted)
    return [...people.slice(0, SHOWN), ...(all ? [{ id: undefined, username: 'all', name: t('everyone') }] : [])]
  })

  /** Looks at what stands before the caret. */
  function look(text: string, caret: number): void {
    const next = mentionBefore(text, caret)
    if (next?.at !== open.value?.at || next?.query !== open.value?.query) {
      chosen.value = 0
      moved.value = false
    }
    open.value = next
    if (next) void loadRest()
  }

  function move(step: number): void {
    moved.value = true
    chosen.value = (chosen.value + step + candidates.value.length) % candidates.value.length
  }

  function close(): void {
    open.value = undefined
  }

  /** Puts a name in place of what was written of it. */
  function complete(text: string, caret: number, { username }: Candidate): { text: string; caret: number } {
    const at = open.value?.at ?? caret
    close()
    const head = `${text.slice(0, at)}@${username} `
    return { text: head + text.slice(caret).replace(/^ /, ''), caret: head.length }
  }

  /** A conversation brings its first hundred people; the others are read when the first name is written. */
  async function loadRest(): Promise<void> {
    if (asked || knowsEveryone(conversation())) return
    asked = true
    try {
      while (await loadMore(conversation()));
    } catch {
      asked = false
    }
  }

  return { candidates, chosen, moved, look, move, close, complete }
}
