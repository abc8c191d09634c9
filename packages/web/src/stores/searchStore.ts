import { defineStore } from 'pinia'
import { ref, shallowRef } from 'vue'
import type { Api } from '../api/parley.ts'
import { ApiError } from '../api/rest.ts'
import type { SearchResult } from '../api/types.ts'

type State = 'idle' | 'searching' | 'more' | 'done' | 'failed' | 'limited'

/** Scripts of which one character says something. */
const DENSE = /[\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}]/u
const LIMITED_MS = 10_000

/** Whether a query says enough to be asked for. */
export function isSearchable(query: string): boolean {
  return DENSE.test(query) || [...query.trim()].length >= 2
}

/** One search and what it found; it stays while a panel is closed, so that the way back finds it. */
export const useSearchStore = defineStore('search', () => {
  const query = ref('')
  const scope = ref<'here' | 'all'>('all')
  const state = ref<State>('idle')
  const results = shallowRef<readonly SearchResult[]>([])
  const next = ref<string | null>(null)
  /** When the server takes searches again. */
  const limitedUntil = ref(0)
  /** What `results` are an answer to. */
  let answered: string | undefined
  let turn = 0

  /** Asks anew, unless that is what was asked last. A later question takes the place of an earlier one. */
  async function run(api: Api, conversation: string | undefined): Promise<void> {
    const text = query.value.trim()
    const question = `${conversation ?? ''} ${text}`
    if (question === answered && state.value !== 'failed') return
    const mine = ++turn
    answered = question
    results.value = []
    next.value = null
    if (!isSearchable(text)) {
      state.value = 'idle'
      return
    }
    state.value = 'searching'
    await ask(mine, () => api.search(text, { conversation }))
  }

  async function more(api: Api, conversation: string | undefined): Promise<void> {
    const before = next.value
    if (!before || state.value === 'more') return
    state.value = 'more'
    await ask(++turn, () => api.search(query.value.trim(), { conversation, before }))
  }

  async function ask(mine: number, how: () => ReturnType<Api['search']>): Promise<void> {
    try {
      const answer = await how()
      if (mine !== turn) return
      results.value = [...results.value, ...answer.results]
      next.value = answer.has_more ? answer.next_before : null
      state.value = 'done'
    } catch (error) {
      if (mine !== turn) return
      const isLimited = error instanceof ApiError && error.status === 429
      if (isLimited) limitedUntil.value = Date.now() + (error.retryAfterMs ?? LIMITED_MS)
      answered = undefined
      state.value = isLimited ? 'limited' : 'failed'
    }
  }

  function clear(): void {
    turn += 1
    answered = undefined
    query.value = ''
    results.value = []
    next.value = null
    state.value = 'idle'
  }

  return { query, scope, state, results, next, limitedUntil, run, more, clear }
})
