import { setTimeout as delay } from 'node:timers/promises'
import type { Frame } from '@parley/test-kit'
import { WebSocket } from 'ws'
import type { Random } from '../random.ts'

export interface Doors {
  /** Where each gateway is reached by clients; a link may stand in between. */
  urls: readonly string[]
  token(): string
}

const HANDSHAKE_MS = 3_000
const READY_MS = 5_000
/** A connection that has said nothing for so long is asked, and given up when it stays silent. */
const ASK_AFTER_MS = 2_000
const SILENT_MAX_MS = 4_500
const WATCH_EVERY_MS = 500

/**
 * A client's connection that comes back: by the next gateway each time, after a short pause of its own. Whoever extends
 * it says what a connection is for.
 */
export abstract class LiveClient {
  readonly #doors: Doors
  readonly random: Random
  gateway: number
  connections = 0
  /** What the server closed connections with. */
  readonly closes = new Map<number, number>()
  #socket: WebSocket | undefined
  #isReady = false
  #isOver = false
  #heardAt = 0
  #running: Promise<void> = Promise.resolve()

  constructor(doors: Doors, random: Random, gateway: number) {
    this.#doors = doors
    this.random = random
    this.gateway = gateway
  }

  protected abstract onConnect(): void
  /** Called with the frame's text, its type in front. */
  protected abstract onText(text: string): void
  protected abstract onReady(frame: Frame): void
  protected abstract onClose(): void

  start(): void {
    this.#running = this.#run()
  }

  get isReady(): boolean {
    return this.#isReady
  }

  async stop(): Promise<void> {
    this.#isOver = true
    this.#socket?.terminate()
    await this.#running
  }

  /** Loses the connection without a word. */
  drop(): void {
    this.#socket?.terminate()
  }

  /** @returns false where there is no connection to send it on */
  send(frame: object): boolean {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false
    this.#socket.send(JSON.stringify(frame))
    return true
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      await this.#connect()
      if (this.#isOver) return
      this.gateway++
      await delay(this.random.between(20, 200))
    }
  }

  async #connect(): Promise<void> {
    const { urls } = this.#doors
    const target = new URL('/api/v1/ws', urls[this.gateway % urls.length]!.replace(/^http/, 'ws'))
    const socket = new WebSocket(target, {
      headers: { authorization: `Bearer ${this.#doors.token()}` },
      handshakeTimeout: HANDSHAKE_MS,
      perMessageDeflate: false
    })
    this.#socket = socket
    this.connections++
    this.onConnect()
    const closed = new Promise<void>(resolve =>
      socket.once('close', code => {
        this.closes.set(code, (this.closes.get(code) ?? 0) + 1)
        resolve()
      })
    )
    socket.on('error', () => {})
    socket.on('message', data => {
      this.#heardAt = performance.now()
      const text = String(data)
      if (text.startsWith('{"type":"pong"')) return
      if (text.startsWith('{"type":"ready"')) {
        this.#isReady = true
        this.onReady(JSON.parse(text))
      }
      this.onText(text)
    })
    this.#heardAt = performance.now()
    const watch = setInterval(() => this.#watch(socket), WATCH_EVERY_MS)
    await closed
    clearInterval(watch)
    this.#isReady = false
    this.onClose()
  }

  #watch(socket: WebSocket): void {
    const silentMs = performance.now() - this.#heardAt
    if (silentMs > (this.#isReady ? SILENT_MAX_MS : READY_MS)) socket.terminate()
    else if (this.#isReady && silentMs > ASK_AFTER_MS) this.send({ type: 'ping' })
  }
}
