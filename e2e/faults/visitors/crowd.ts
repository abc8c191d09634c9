import { setTimeout as delay } from 'node:timers/promises'
import type { Frame, Person } from '@parley/test-kit'
import { until } from '@parley/test-kit'
import { WebSocket } from 'ws'
import { hashOf } from '../history.ts'
import type { Random } from '../random.ts'
import type { Trial } from '../trial.ts'
import type { Visitors } from './visitors.ts'

const HANDSHAKE_MS = 15_000
/** As the interface says of a resume. */
const CURSORS_MAX = 1_000
const OVERLOADED = 1013
const ANSWER_MS = 15_000
const TRIES_MAX = 8
/** A change as it begins: only this much of it is looked at, since thousands of sockets get each of them. */
const CHANGE =
  /^\{"type":"(?:new_message|message_\w+ed|participant_\w+|conversation_updated)","conversation_id":"([0-9a-f-]{36})","version":(\d+)/
const HEAD_BYTES = 128

interface Place {
  /** Up to here it has everything. */
  held: number
  /** Up to here this connection has told everything. */
  live: number
  /** Where this connection began to tell. */
  since: number
}

export interface CrowdOptions {
  /** Which gateway each socket begins at. */
  gateway: (n: number) => number
  /** Never another one than that. */
  stays?: boolean
  /** After a loss without a word it waits up to so long. */
  jitterMs?: number
}

/** A client that costs little: it holds versions and no messages, so that there may be thousands. It comes back and resumes. */
export class CrowdClient {
  readonly who: Person
  readonly proc: string
  readonly places = new Map<string, Place>()
  /** What broke the interface, as sentences. */
  readonly faults: string[] = []
  readonly closes: number[] = []
  /** Each `reconnect` that came: the delay, and when. */
  readonly told: { delayMs: number; at: number }[] = []
  /** What `ready` said. */
  ready: Frame | undefined
  /** When the connection of now began, was let in, was told something missing first, and was in step. */
  readonly at = { lost: 0, begun: 0, ready: 0, told: 0, inStep: 0 }
  /** Looks at each frame whole; costs what it costs. */
  onFrame: ((text: string) => void) | undefined
  gateway: number
  isInStep = false
  readonly #trial: Trial
  readonly #token: string
  readonly #random: Random
  readonly #options: CrowdOptions
  readonly #waiting = new Map<string, (answer: Frame | undefined) => void>()
  #socket: WebSocket | undefined
  #isOver = false
  #isHeldBack = false
  #resumes = 0
  #lastId = 0
  #running: Promise<void> = Promise.resolve()

  constructor(trial: Trial, visitors: Visitors, who: Person, n: number, options: CrowdOptions) {
    this.who = who
    this.proc = visitors.procOf(who)
    this.#trial = trial
    this.#token = trial.platform.token(who)
    this.#random = trial.random.fork(`crowd ${n}`)
    this.#options = options
    this.gateway = options.gateway(n)
  }

  start(): void {
    this.#isHeldBack = false
    this.#running = this.#run()
  }

  async stop(): Promise<void> {
    this.#isOver = true
    this.#socket?.resume()
    this.#socket?.terminate()
    await this.#running
  }

  /** Goes away without a word; `start` lets it come back. */
  async leave(): Promise<void> {
    this.#isHeldBack = true
    this.#socket?.terminate()
    await this.#running
  }

  /** Reads nothing any more. */
  pause(): void {
    this.#socket?.pause()
  }

  resume(): void {
    this.#socket?.resume()
  }

  /** Sends a message and writes each try into the history, until its outcome is known. Resolves with whether it was acknowledged. */
  async say(conv: string, key: string, value: string): Promise<boolean> {
    const { history } = this.#trial
    for (let tries = 1; tries <= TRIES_MAX; tries++) {
      const { n: of } = history.add({ proc: this.proc, type: 'invoke', op: 'send', conv, key, value })
      const answer = await this.ask({ type: 'send_message', conversation_id: conv, content: value, client_message_id: key })
      if (answer?.type === 'ack') {
        const { id, seq, version } = answer.message
        history.add({ proc: this.proc, type: 'ok', op: 'send', of, id, seq, version, hash: hashOf(answer.message) })
        return true
      }
      const isUnknown = answer === undefined || answer.retryable
      history.add({ proc: this.proc, type: isUnknown ? 'info' : 'fail', op: 'send', of, code: answer?.code ?? 'no answer' })
      if (!isUnknown) return false
      await delay(this.#random.between(50, 150) * tries)
    }
    return false
  }

  /** @returns the ack or error; undefined where the connection ended before, or nothing came in time */
  async ask(frame: Frame): Promise<Frame | undefined> {
    if (this.#socket?.readyState !== WebSocket.OPEN) return undefined
    const id = `a${++this.#lastId}`
    const { promise, resolve } = Promise.withResolvers<Frame | undefined>()
    this.#waiting.set(id, resolve)
    this.#socket.send(JSON.stringify({ ...frame, id }))
    const timer = setTimeout(() => resolve(undefined), ANSWER_MS)
    const answer = await promise
    clearTimeout(timer)
    this.#waiting.delete(id)
    return answer
  }

  async #run(): Promise<void> {
    while (!this.#isOver && !this.#isHeldBack) {
      const tellings = this.told.length
      const code = await this.#connect()
      if (this.#isOver || this.#isHeldBack) return
      if (!this.#options.stays) this.gateway++
      await delay(this.#delayMs(code, tellings))
    }
  }

  /** As the interface asks of clients. */
  #delayMs(code: number, tellings: number): number {
    const told = this.told.at(-1)
    if (told && this.told.length > tellings) return Math.max(0, told.at + told.delayMs - performance.now())
    if (code === OVERLOADED) return this.#random.between(5_000, 7_000)
    return this.#random.between(10, this.#options.jitterMs ?? 500)
  }

  async #connect(): Promise<number> {
    const { urls } = this.#trial.platform
    this.at.begun = performance.now()
    this.at.told = 0
    const socket = new WebSocket(new URL('/api/v1/ws', urls[this.gateway % urls.length]!.replace(/^http/, 'ws')), {
      headers: { authorization: `Bearer ${this.#token}` },
      handshakeTimeout: HANDSHAKE_MS,
      perMessageDeflate: false
    })
    this.#socket = socket
    socket.on('error', () => {})
    socket.on('message', data => this.#onData(data as Buffer))
    const code = await new Promise<number>(resolve => socket.once('close', resolve))
    this.closes.push(code)
    if (this.isInStep) this.at.lost = performance.now()
    this.isInStep = false
    for (const settle of this.#waiting.values()) settle(undefined)
    return code
  }

  #onData(data: Buffer): void {
    if (this.onFrame) this.onFrame(data.toString())
    const change = CHANGE.exec(data.toString('latin1', 0, HEAD_BYTES))
    if (change) this.#onChange(change[1]!, Number(change[2]))
    else this.#onOther(data.toString())
  }

  #onChange(conv: string, version: number): void {
    const place = this.places.get(conv)
    if (!place) return void this.faults.push(`${this.proc}: version ${version} of ${conv}, which was not named`)
    if (version !== place.live + 1) this.faults.push(`${this.proc} ${conv}: ${version} came after ${place.live}`)
    place.live = Math.max(place.live, version)
    join(place)
  }

  #onOther(text: string): void {
    let frame: Frame
    try {
      frame = JSON.parse(text)
    } catch {
      return void this.faults.push(`${this.proc}: a frame is no JSON: ${text.slice(0, 60)}`)
    }
    if (frame === null) return void this.faults.push(`${this.proc}: a frame is null`)
    if (frame.type === 'ready') this.#onReady(frame)
    else if (frame.type === 'sync') this.#onSync(frame)
    else if (frame.type === 'resumed') this.#onResumed(frame)
    else if (frame.type === 'reconnect') this.told.push({ delayMs: frame.delay_ms, at: performance.now() })
    else if (frame.type === 'conversation_added') this.#place(frame.conversation_id, frame.version ?? frame.conversation.version)
    else if (frame.type === 'error' && frame.id === 'resume') this.#onRefusedResume(frame)
    else if (frame.type === 'ack' || frame.type === 'error') this.#waiting.get(frame.id)?.(frame)
  }

  #onReady(frame: Frame): void {
    this.ready = frame
    this.at.ready = performance.now()
    const cursors: [string, number][] = [...this.places].map(([id, { held }]) => [id, held])
    for (const { id, version } of frame.conversations) this.#place(id, version)
    this.#resumes = 0
    for (let from = 0; from < cursors.length; from += CURSORS_MAX) {
      this.#resumes++
      this.#resume(Object.fromEntries(cursors.slice(from, from + CURSORS_MAX)))
    }
    if (this.#resumes === 0) this.#onInStep()
  }

  #resume(cursors: Record<string, number>): void {
    this.#socket?.send(JSON.stringify({ type: 'resume', id: 'resume', cursors }))
  }

  #onRefusedResume({ code, retryable, retry_after_ms = 500 }: Frame): void {
    if (!retryable) return void this.faults.push(`${this.proc}: a resume was refused: ${code}`)
    // Begun anew, it asks for all of them.
    setTimeout(() => this.#socket?.terminate(), this.#random.between(0.5, 1) * retry_after_ms).unref()
  }

  #onSync({ conversation_id, from_version: from, version }: Frame): void {
    this.at.told ||= performance.now()
    const place = this.places.get(conversation_id)
    if (!place) return
    if (from <= place.held) place.held = Math.max(place.held, version)
    if (from <= place.live) place.live = Math.max(place.live, version)
    else this.faults.push(`${this.proc} ${conversation_id}: a sync from ${from} after ${place.live}`)
    join(place)
  }

  #onResumed({ complete }: Frame): void {
    if (!complete) this.faults.push(`${this.proc}: a resume was not complete`)
    if (--this.#resumes === 0) this.#onInStep()
  }

  #onInStep(): void {
    this.at.inStep = performance.now()
    this.isInStep = true
  }

  /** Named by `ready` or `conversation_added`: this connection tells what comes after. What it held before, it holds. */
  #place(conv: string, version: number): void {
    const place = this.places.get(conv)
    if (!place) this.places.set(conv, { held: version, live: version, since: version })
    else Object.assign(place, { live: version, since: version })
  }
}

function join(place: Place): void {
  if (place.held >= place.since) place.held = Math.max(place.held, place.live)
}

/** Many such clients. */
export class Crowd {
  readonly clients: CrowdClient[]
  readonly #trial: Trial

  constructor(trial: Trial, visitors: Visitors, people: readonly Person[], socketsEach: number, options: CrowdOptions) {
    this.#trial = trial
    // One of each after the other, so that whoever comes first are different people.
    this.clients = Array.from(
      { length: people.length * socketsEach },
      (_, n) => new CrowdClient(trial, visitors, people[n % people.length]!, n, options)
    )
    trial.scope.teardown(() => this.stop())
  }

  async start(): Promise<void> {
    for (const client of this.clients) client.start()
    await this.inStep(60_000)
  }

  async inStep(timeoutMs: number): Promise<void> {
    const isThere = () => this.clients.every(({ isInStep }) => isInStep)
    await until(isThere, { timeoutMs, what: 'the crowd is connected and in step' }).catch(error => {
      const away = this.clients.filter(({ isInStep }) => !isInStep)
      const closes = new Map<number, number>()
      for (const code of away.flatMap(client => client.closes)) closes.set(code, (closes.get(code) ?? 0) + 1)
      throw new Error(`${error.message}: ${away.length} of ${this.clients.length} are not; closed by ${JSON.stringify([...closes])}`)
    })
  }

  /** Once nobody writes: each holds exactly what the database has, and nothing broke the interface on the way. */
  async expectWhole(timeoutMs = 20_000): Promise<void> {
    const rows = await this.#trial.platform.database.query<{ id: string; version: number }>(
      'select id, version::int as version from messaging.conversations'
    )
    const versions = new Map(rows.map(({ id, version }) => [id, version]))
    const behind = () =>
      this.clients.filter(({ isInStep, places }) => !isInStep || [...places].some(([id, { held }]) => held !== versions.get(id)))
    await until(() => behind().length === 0, { timeoutMs, what: 'the crowd has everything' }).catch(() => {
      const [one] = behind()
      const place = [...(one?.places ?? [])].find(([id, { held }]) => held !== versions.get(id))
      const example = place ? `${one!.proc} ${place[0]} ${JSON.stringify(place[1])} of ${versions.get(place[0])}` : 'not in step'
      this.#trial.expect(false, `${behind().length} of ${this.clients.length} are not where the database is: ${example}`)
    })
    const faults = this.clients.flatMap(client => client.faults)
    this.#trial.expect(faults.length === 0, `${faults.length} frames broke the interface: ${faults.slice(0, 3).join('; ')}`)
  }

  async stop(): Promise<void> {
    await Promise.all(this.clients.map(client => client.stop()))
  }
}
