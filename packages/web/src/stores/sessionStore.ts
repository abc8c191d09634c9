import { defineStore } from 'pinia'
import { computed, ref, shallowRef } from 'vue'
import { ApiError, call } from '../api/rest.ts'
import type { Config, DemoPeople, Me } from '../api/types.ts'
import { windowKept } from './storage.ts'

type Phase = 'starting' | 'unreachable' | 'signed_out' | 'signed_in'

/** A window belongs to one person: who that is stays in this window's storage, so two windows may be two people. */
export const useSessionStore = defineStore('session', () => {
  const phase = ref<Phase>('starting')
  const config = shallowRef<Config>()
  const me = shallowRef<Me>()
  const token = ref<string>()
  const refusal = ref<string>()
  const contentMax = computed(() => config.value?.limits.content_max ?? 5_000)
  let renewal: Promise<string | undefined> | undefined
  let renewTimer: ReturnType<typeof setTimeout> | undefined

  const tokens = { token: () => token.value, renew }

  /** Learns what the server is, and goes on as who this window was before. */
  async function start(): Promise<void> {
    phase.value = 'starting'
    try {
      config.value = await call<Config>('GET', '/config')
    } catch {
      phase.value = 'unreachable'
      return
    }
    const person = windowKept.get<string>('person')
    const pasted = windowKept.get<string>('token')
    if (config.value.demo && person) await signInAs(person)
    else if (pasted) await signInWith(pasted)
    else phase.value = 'signed_out'
  }

  function people(): Promise<DemoPeople> {
    return call('GET', '/demo/people')
  }

  async function signInAs(userId: string): Promise<void> {
    await enter(async () => {
      await demoToken(userId)
      windowKept.set('person', userId)
    })
  }

  async function signInWith(pasted: string): Promise<void> {
    await enter(async () => {
      take(pasted)
      windowKept.set('token', pasted)
    })
  }

  async function enter(obtain: () => Promise<void>): Promise<void> {
    refusal.value = undefined
    try {
      await obtain()
      me.value = await call<Me>('GET', '/me', { tokens })
      phase.value = 'signed_in'
    } catch (error) {
      const away = error instanceof ApiError && error.retryable
      if (away && phase.value === 'starting') {
        phase.value = 'unreachable'
        return
      }
      refusal.value = error instanceof ApiError ? error.code : 'unknown'
      forget()
    }
  }

  async function demoToken(userId: string): Promise<string> {
    const answer = await call<{ token: string; expires_in_seconds: number }>('POST', '/demo/sign-in', { body: { user_id: userId } })
    take(answer.token, answer.expires_in_seconds)
    return answer.token
  }

  function take(next: string, expiresInSeconds?: number): void {
    token.value = next
    clearTimeout(renewTimer)
    // A third of its life before the end, so that one failed attempt costs nothing.
    if (expiresInSeconds) renewTimer = setTimeout(() => void renew(), Math.min(expiresInSeconds * 667, 2 ** 31 - 1))
  }

  /** A fresh token, one request however many ask; undefined where a person has to bring one. */
  function renew(): Promise<string | undefined> {
    const person = windowKept.get<string>('person')
    if (!config.value?.demo || !person) return Promise.resolve(undefined)
    renewal ??= demoToken(person).finally(() => (renewal = undefined))
    return renewal
  }

  function forget(): void {
    clearTimeout(renewTimer)
    windowKept.set('person', undefined)
    windowKept.set('token', undefined)
    token.value = undefined
    me.value = undefined
    phase.value = 'signed_out'
  }

  return { phase, config, me, token, tokens, refusal, contentMax, start, people, signInAs, signInWith, renew, signOut: forget }
})
