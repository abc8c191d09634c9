import { CHANGE_TYPES } from '@parley/contracts'
import type { Frame } from '@parley/test-kit'
import { type Cast, type History, seen } from '../history.ts'
import type { Random } from '../random.ts'
import { type Doors, LiveClient } from './live.ts'

/** A conversation as a reader holds it: up to where it has everything, and what this connection has told. */
export interface Held {
  held: number
  /** Up to here this connection has told everything; undefined before it named the conversation. */
  live: number | undefined
  /** Where this connection began to tell; infinite before it named the conversation. */
  since: number
}

const RESUME = 'resume'
const RESUME_AGAIN_MS = 200

export interface ReaderOptions {
  proc: string
  doors: Doors
  random: Random
  gateway: number
  history: History
  cast: Cast
  org_id: string
  /** When a send was begun, by its client_message_id. */
  begunAt: (key: string) => number | undefined
}

/**
 * Somebody who wants everything. It goes by the letter of the interface: subscribes, resumes with what it holds, puts
 * frames in place by version, and never shows what follows a hole. What it was told is in the history; whether that was
 * right is for the checker to say.
 */
export class Reader extends LiveClient {
  readonly proc: string
  readonly conversations = new Map<string, Held>()
  readonly #history: History
  readonly #foreignMarks: string[]
  readonly #begunAt: ReaderOptions['begunAt']
  #isInStep = false
  /** The newest beginning of a send that this reader has seen the message of. */
  #freshest = 0
  /** The same, when it was last in step. */
  freshest = 0

  constructor({ proc, doors, random, gateway, history, cast, org_id, begunAt }: ReaderOptions) {
    super(doors, random, gateway)
    this.proc = proc
    this.#history = history
    this.#begunAt = begunAt
    this.#foreignMarks = Object.entries(cast.marks)
      .filter(([org]) => org !== org_id)
      .map(([, mark]) => mark)
  }

  /** Connected, and resumed on this connection. */
  get isInStep(): boolean {
    return this.#isInStep
  }

  protected get history(): History {
    return this.#history
  }

  /** Writes down what it shows: it claims to have everything up to these versions. */
  show(): void {
    for (const [conv, { held }] of this.conversations) {
      this.#history.add({ proc: this.proc, type: 'ok', op: 'shows', conv, version: held })
    }
  }

  protected onConnect(): void {
    for (const entry of this.conversations.values()) entry.live = undefined
    this.#history.add({ proc: this.proc, type: 'ok', op: 'connect', value: `${this.gateway}` })
  }

  protected onClose(): void {
    this.#isInStep = false
  }

  protected onReady({ conversations }: Frame): void {
    const heads: Record<string, number> = {}
    const named = new Set(conversations.map(({ id }: { id: string }) => id))
    // It was removed while it was not connected.
    for (const id of this.conversations.keys()) if (!named.has(id)) this.conversations.delete(id)
    for (const { id, version } of conversations) {
      heads[id] = version
      const entry = this.entry(id)
      entry.live = version
      entry.since = version
    }
    this.#history.add({ proc: this.proc, type: 'ok', op: 'ready', heads })
    this.resume()
  }

  protected resume(): void {
    this.send({ type: 'resume', id: RESUME, cursors: Object.fromEntries([...this.conversations].map(([id, { held }]) => [id, held])) })
  }

  protected onText(text: string): void {
    for (const mark of this.#foreignMarks) {
      if (text.includes(mark)) this.#history.add({ proc: this.proc, type: 'ok', op: 'leak', value: mark, code: text.slice(0, 400) })
    }
    const frame: Frame = JSON.parse(text)
    if (CHANGE_TYPES.has(frame.type)) this.onChange(frame)
    else if (frame.type === 'sync') this.#onSync(frame)
    else if (frame.type === 'resumed') this.#onResumed(frame)
    else if (frame.type === 'conversation_added') this.#onAdded(frame)
    else if (frame.type === 'conversation_removed') this.#onRemoved(frame)
    else if (frame.type === 'error' && frame.id === RESUME) {
      if (frame.retryable) setTimeout(() => this.isReady && this.resume(), RESUME_AGAIN_MS).unref()
      else this.#history.add({ proc: this.proc, type: 'fail', op: 'resumed', code: frame.code })
    }
  }

  protected onChange({ type, conversation_id: conv, version, message, participant }: Frame): void {
    const entry = this.entry(conv)
    const isHole = entry.live !== undefined && version > entry.live + 1
    this.#history.add({
      proc: this.proc,
      type: 'ok',
      op: isHole && this.checksGaps ? 'hole' : 'frame',
      conv,
      version,
      value: type,
      ...(message && { messages: [seen(message)] }),
      ...(participant && { target: participant.user_id })
    })
    // It would show what follows the hole as if nothing were missing: it asks for what is missing instead.
    if (isHole && this.checksGaps) return this.drop()
    if (entry.live !== undefined) entry.live = Math.max(entry.live, version)
    this.join(entry)
    if (message?.client_message_id) this.#freshen(message.client_message_id)
  }

  protected get checksGaps(): boolean {
    return true
  }

  #onSync({ conversation_id: conv, from_version: from, version, messages }: Frame): void {
    const entry = this.entry(conv)
    this.#history.add({ proc: this.proc, type: 'ok', op: 'sync', conv, from, version, messages: messages.map(seen) })
    if (from <= entry.held) entry.held = Math.max(entry.held, version)
    if (entry.live === undefined || from <= entry.live) entry.live = Math.max(entry.live ?? 0, version)
    this.join(entry)
    for (const { client_message_id } of messages) if (client_message_id) this.#freshen(client_message_id)
  }

  #onResumed({ complete }: Frame): void {
    this.#history.add({ proc: this.proc, type: 'ok', op: 'resumed', complete })
    this.beInStep()
  }

  protected beInStep(): void {
    this.#isInStep = true
    this.freshest = this.#freshest
  }

  #onAdded({ conversation_id: conv, version }: Frame): void {
    this.#history.add({ proc: this.proc, type: 'ok', op: 'added', conv, version })
    // What was said before it came it does not ask for: it follows from here.
    const entry = this.entry(conv)
    entry.held = Math.max(entry.held, version)
    entry.live = version
    entry.since = version
  }

  #onRemoved({ conversation_id: conv }: Frame): void {
    this.#history.add({ proc: this.proc, type: 'ok', op: 'removed', conv })
    this.conversations.delete(conv)
  }

  protected entry(conv: string): Held {
    let entry = this.conversations.get(conv)
    if (!entry) {
      entry = { held: 0, live: undefined, since: Number.POSITIVE_INFINITY }
      this.conversations.set(conv, entry)
    }
    return entry
  }

  /** Once it holds all that was before this connection, it holds what the connection has told. */
  protected join(entry: Held): void {
    if (entry.live !== undefined && entry.held >= entry.since) entry.held = Math.max(entry.held, entry.live)
  }

  #freshen(key: string): void {
    const at = this.#begunAt(key)
    if (at !== undefined && at > this.#freshest) this.#freshest = at
    if (this.#isInStep) this.freshest = this.#freshest
  }
}
