import { setTimeout as delay } from 'node:timers/promises'
import type { Message } from '@parley/contracts'
import type { Frame } from '@parley/test-kit'
import { type History, hashOf, type Line, type Op, seen } from '../history.ts'
import type { Random } from '../random.ts'
import { type Doors, LiveClient } from './live.ts'
import { Rest } from './rest.ts'

/** How an attempt ended. Nothing else is known of one that is neither acknowledged nor refused for good. */
type Outcome = { type: 'ok'; body: Frame } | { type: 'fail' | 'info'; code: string }

interface Mine {
  id: string
  seq: number
  conv: string
  key: string
  isBusy: boolean
}

export interface SenderOptions {
  proc: string
  doors: Doors
  random: Random
  gateway: number
  history: History
  /** Conversations that it writes to. */
  conversations: readonly string[]
  /** Stands in everything that it says. */
  mark: string
  /** Whom it brings into a conversation of its own, and removes again. */
  guest?: { user_id: string; conv: string } | undefined
  /** By requests instead of frames. */
  isRest: boolean
  /** Operations a second that it begins, while not more than `inFlightMax` are unanswered. */
  rate: number
  inFlightMax: number
}

const ANSWER_MS = 4_000
/** A connection that owes so many answers in a row is left for another one. */
const UNANSWERED_MAX = 3
const MINE_MAX = 200
const READ_LIMIT = 50

/**
 * Somebody who writes: sends, edits and deletes what is theirs, marks as read, looks at a history. What has an unknown
 * outcome is tried again, with the same client_message_id, until it is known.
 */
export class Sender extends LiveClient {
  readonly proc: string
  readonly #options: SenderOptions
  readonly #history: History
  readonly #rest = new Rest()
  readonly #waiting = new Map<string, (outcome: Outcome) => void>()
  readonly #running = new Set<Promise<void>>()
  readonly #mine: Mine[] = []
  readonly begunAt = new Map<string, number>()
  #count = 0
  #unanswered = 0
  #isWriting = false
  #isGivenUp = false
  #pace: Promise<void> = Promise.resolve()
  /** When the newest acknowledged send was begun. */
  freshest = 0
  acknowledged = 0
  readonly latencies: number[] = []

  constructor(options: SenderOptions) {
    super(options.doors, options.random, options.gateway)
    this.proc = options.proc
    this.#options = options
    this.#history = options.history
  }

  write(): void {
    this.#isWriting = true
    const { guest } = this.#options
    this.#pace = Promise.all([this.#run(), guest && this.#churn(guest)]).then(() => {})
  }

  /** Begins nothing more, and waits until what was begun has its answer; what has none in time stays unknown. */
  async finish(forMs: number): Promise<void> {
    this.#isWriting = false
    // Whoever brings a guest in tries until that is known as well.
    const giveUp = setTimeout(() => {
      this.#isGivenUp = true
    }, forMs)
    await this.#pace
    await Promise.all(this.#running)
    clearTimeout(giveUp)
  }

  override async stop(): Promise<void> {
    await super.stop()
    this.#rest.close()
  }

  get inFlight(): number {
    return this.#running.size
  }

  async #run(): Promise<void> {
    const { rate, inFlightMax, random } = this.#options
    let due = performance.now()
    while (this.#isWriting) {
      due = Math.max(due + random.between(0.5, 1.5) * (1_000 / rate), performance.now() - 50)
      await delay(Math.max(0, due - performance.now()))
      if (this.#running.size >= inFlightMax) continue
      const operation = this.#one().finally(() => this.#running.delete(operation))
      this.#running.add(operation)
    }
  }

  /** Brings somebody in and removes them, one after the other, each until it is known to be done. */
  async #churn({ user_id, conv }: { user_id: string; conv: string }): Promise<void> {
    const { random } = this.#options
    for (let isIn = false; this.#isWriting; isIn = !isIn) {
      const key = `${this.proc}-${++this.#count}`
      const path = `/conversations/${conv}/participants`
      await this.#until(isIn ? 'remove' : 'add', { conv, key, target: user_id }, () =>
        isIn ? this.#request('DELETE', `${path}/${user_id}`) : this.#request('POST', path, { user_id })
      )
      for (const until = performance.now() + random.between(500, 2_500); this.#isWriting && performance.now() < until; ) await delay(50)
    }
  }

  /** One operation, of the kind that the dice say. */
  async #one(): Promise<void> {
    const { random, conversations } = this.#options
    const dice = random.next()
    const mine = dice < 0.12 ? this.#takeMine() : undefined
    if (mine && dice < 0.08) return this.#edit(mine)
    if (mine) return this.#delete(mine)
    const conv = random.pick(conversations)
    if (dice > 0.97) return this.#markRead(conv)
    if (dice > 0.95) return this.#read(conv)
    return this.sendMessage(conv)
  }

  /** Sends one message and waits until it is known what became of it. */
  async sendMessage(conv: string): Promise<void> {
    const { mark } = this.#options
    const key = `${this.proc}-${++this.#count}`
    const value = `${mark} ${key}`
    this.begunAt.set(key, this.#history.now())
    const body = await this.#until('send', { conv, key, value }, () =>
      this.#ask(
        { type: 'send_message', conversation_id: conv, content: value, ...this.idOf(key) },
        'POST',
        `/conversations/${conv}/messages`,
        { content: value, ...this.idOf(key) }
      )
    )
    if (!body) return
    const { id, seq } = messageOf(body)
    this.freshest = Math.max(this.freshest, this.begunAt.get(key)!)
    this.#mine.push({ id, seq, conv, key, isBusy: false })
    if (this.#mine.length > MINE_MAX) this.#mine.shift()
  }

  /** By what the server knows a message that is sent again. */
  protected idOf(key: string): { client_message_id?: string } {
    return { client_message_id: key }
  }

  async #edit(mine: Mine): Promise<void> {
    const key = `${this.proc}-${++this.#count}`
    const value = `${this.#options.mark} ${mine.key} edited ${key}`
    await this.#until('edit', { conv: mine.conv, key, target: mine.id, value }, () =>
      this.#ask({ type: 'edit_message', message_id: mine.id, content: value }, 'PATCH', `/messages/${mine.id}`, { content: value })
    )
    mine.isBusy = false
  }

  async #delete(mine: Mine): Promise<void> {
    this.#mine.splice(this.#mine.indexOf(mine), 1)
    const key = `${this.proc}-${++this.#count}`
    await this.#until('delete', { conv: mine.conv, key, target: mine.id }, () =>
      this.#ask({ type: 'delete_message', message_id: mine.id }, 'DELETE', `/messages/${mine.id}`)
    )
  }

  async #markRead(conv: string): Promise<void> {
    const last = this.#mine.findLast(mine => mine.conv === conv)
    if (!last) return this.sendMessage(conv)
    const key = `${this.proc}-${++this.#count}`
    const { seq } = last
    await this.#until('mark_read', { conv, key, seq }, () =>
      this.#ask({ type: 'mark_read', conversation_id: conv, seq }, 'PATCH', `/conversations/${conv}/read`, { seq })
    )
  }

  async #read(conv: string): Promise<void> {
    const key = `${this.proc}-${++this.#count}`
    await this.#until('read', { conv, key }, () => this.#request('GET', `/conversations/${conv}/messages?limit=${READ_LIMIT}`))
  }

  /** Tries until the outcome is known, and gives the answer where it was an acknowledgement. */
  async #until(op: Op, what: Partial<Line>, attempt: () => Promise<Outcome>): Promise<Frame | undefined> {
    const begunAt = performance.now()
    for (let attempts = 1; ; attempts++) {
      const { n: of } = this.#history.add({ proc: this.proc, type: 'invoke', op, ...what })
      const outcome = await attempt()
      if (outcome.type === 'ok') {
        this.#history.add({ proc: this.proc, type: 'ok', op, of, ...told(op, outcome.body) })
        this.acknowledged++
        if (op === 'send') this.latencies.push(performance.now() - begunAt)
        return outcome.body
      }
      this.#history.add({ proc: this.proc, type: outcome.type, op, of, code: outcome.code })
      if (outcome.type === 'fail' || this.#isGivenUp) return undefined
      await delay(this.#options.random.between(30, 150) * Math.min(attempts, 4))
    }
  }

  #takeMine(): Mine | undefined {
    if (this.#mine.length === 0) return undefined
    const mine = this.#options.random.pick(this.#mine)
    if (mine.isBusy) return undefined
    mine.isBusy = true
    return mine
  }

  #ask(frame: Frame, method: string, path: string, body?: object): Promise<Outcome> {
    return this.#options.isRest ? this.#request(method, path, body) : this.#askBySocket(frame)
  }

  async #request(method: string, path: string, body?: object): Promise<Outcome> {
    const { doors } = this.#options
    const url = doors.urls[this.gateway % doors.urls.length]!
    const outcome = await this.#rest.ask(url, doors.token(), method, path, body, ANSWER_MS).then(
      ({ status, body }): Outcome => {
        if (status < 300) return { type: 'ok', body: body ?? {} }
        return { type: status >= 500 || status === 429 ? 'info' : 'fail', code: body?.code ?? `${status}` }
      },
      (error): Outcome => ({ type: 'info', code: error.code ?? error.message })
    )
    // The next attempt goes elsewhere, as behind a balancer that has seen this.
    if (outcome.type === 'info' && this.#options.isRest) this.gateway++
    return outcome
  }

  async #askBySocket(frame: Frame): Promise<Outcome> {
    const id = `${++this.#count}`
    const { promise, resolve } = Promise.withResolvers<Outcome>()
    if (!this.isReady || !this.send({ ...frame, id })) return { type: 'info', code: 'not connected' }
    this.#waiting.set(id, resolve)
    const timer = setTimeout(() => {
      resolve({ type: 'info', code: 'no answer' })
      if (++this.#unanswered >= UNANSWERED_MAX) this.drop()
    }, ANSWER_MS)
    const outcome = await promise
    clearTimeout(timer)
    this.#waiting.delete(id)
    return outcome
  }

  protected onText(text: string): void {
    // Of the rest it takes no notice; most of it are other people's messages.
    if (!text.startsWith('{"type":"ack"') && !text.startsWith('{"type":"error"')) return
    const frame: Frame = JSON.parse(text)
    this.#unanswered = 0
    const settle = this.#waiting.get(frame.id)
    if (frame.type === 'ack') settle?.({ type: 'ok', body: frame })
    else settle?.({ type: frame.retryable ? 'info' : 'fail', code: frame.code })
  }

  protected onConnect(): void {
    this.#unanswered = 0
  }

  protected onReady(): void {}

  protected onClose(): void {
    for (const settle of this.#waiting.values()) settle({ type: 'info', code: 'connection lost' })
  }
}

const messageOf = (body: Frame): Message => body.message ?? (body as unknown as Message)

/** What an acknowledgement said, as the history keeps it. */
function told(op: Op, body: Frame): Partial<Line> {
  if (op === 'add' || op === 'remove') return {}
  if (op === 'read') return { conv: body.conversation_id, version: body.version, seq: body.total, messages: body.messages.map(seen) }
  if (op === 'mark_read') return { seq: body.last_read_seq }
  if (op === 'delete' && body.deleted_at) return { id: body.id, version: body.version }
  const message = messageOf(body)
  return { id: message.id, seq: message.seq, version: message.version, hash: hashOf(message) }
}
