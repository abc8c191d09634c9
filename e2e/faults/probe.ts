import type { Message } from '@parley/contracts'
import type { Person } from '@parley/test-kit'
import { type History, hashOf } from './history.ts'
import type { World } from './world.ts'

/** What a case says itself, in the name of one of the senders: it stands in the history, so that the checker knows of it. */
export interface Said {
  conv: string
  key: string
  content: string
}

/**
 * Writes down a case's own sends beside those of the load, with their attempts, so that they are checked like everything
 * else: kept once acknowledged, stored once, at one place, with the content that was sent.
 */
export class Probe {
  readonly who: Person
  readonly proc: string
  readonly #history: History
  readonly #world: World
  readonly #name: string
  #count = 0

  /** @param name stands in front of every key, and must be the case's own */
  constructor(name: string, history: History, world: World, sender = 0) {
    this.#name = name
    this.#history = history
    this.#world = world
    this.who = world.senders[sender]!
    this.proc = `s${sender + 1}`
  }

  /** Something to say in a conversation of the sender's; `more` is appended. */
  next({ conv = this.#world.conversationsOf(this.who.org_id)[0]!, more = '' }: { conv?: string; more?: string } = {}): Said {
    const key = `${this.#name}-${++this.#count}`
    return { conv, key, content: `${this.#world.markOf(this.who.org_id)} ${key}${more}` }
  }

  /** An attempt begins. @returns its place in the history, for `ok` or `unknown` */
  attempt({ conv, key, content }: Said): number {
    return this.#history.add({ proc: this.proc, type: 'invoke', op: 'send', conv, key, value: content }).n
  }

  ok(of: number, message: Message): void {
    const { id, seq, version } = message
    this.#history.add({ proc: this.proc, type: 'ok', op: 'send', of, id, seq, version, hash: hashOf(message) })
  }

  unknown(of: number, code: string): void {
    this.#history.add({ proc: this.proc, type: 'info', op: 'send', of, code })
  }
}
