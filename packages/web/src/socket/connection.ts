import type { ClientFrame, ErrorFrame, ReadyFrame, ServerFrame } from './frames.ts'
import { closeAction, retryDelayMs, type StopReason } from './retry.ts'

export type Status =
  | { state: 'idle' }
  | { state: 'connecting' }
  | { state: 'catching_up' }
  | { state: 'live' }
  | { state: 'waiting'; retryAt: number }
  | { state: 'offline' }
  | { state: 'stopped'; reason: StopReason }

/** The connection ended before the answer came: whether the request was carried out is not known. */
export class ConnectionLost extends Error {
  override name = 'ConnectionLost'
}

/** The server refused a frame. */
export class Refused extends Error {
  readonly frame: ErrorFrame
  constructor(frame: ErrorFrame) {
    super(frame.detail)
    this.name = 'Refused'
    this.frame = frame
  }
}

export interface ConnectionOptions {
  url: string
  token(): string | undefined
  renew(): Promise<string | undefined>
  /** Brings what is held up to date; `live` is told once it resolves, and a rejection drops the socket. */
  catchUp(ready: ReadyFrame): Promise<void>
  onFrame(frame: ServerFrame): void
  onStatus(status: Status): void
}

type Ack = { type: 'ack' } & Record<string, unknown>
type Waiter = { resolve(ack: Ack): void; reject(error: Error): void; timer: ReturnType<typeof setTimeout> }

const OPEN_TIMEOUT_MS = 10_000
const ANSWER_TIMEOUT_MS = 15_000
const SILENCE_MS = 10_000

/**
 * One socket that comes back. There is at most one attempt at a time, and an older socket's late
 * events are ignored: each listener belongs to the socket it was made for.
 */
export class Connection {
  readonly #options: ConnectionOptions
  #socket: WebSocket | undefined
  #status: Status = { state: 'idle' }
  #waiters = new Map<string, Waiter>()
  #nextId = 0
  #attempt = 0
  #renewed = false
  #heartbeatMs = 25_000
  #heardAt = 0
  #comeBackAt: number | undefined
  #retryTimer: ReturnType<typeof setTimeout> | undefined
  #openTimer: ReturnType<typeof setTimeout> | undefined
  #heartbeatTimer: ReturnType<typeof setTimeout> | undefined

  constructor(options: ConnectionOptions) {
    this.#options = options
  }

  start(): void {
    addEventListener('online', this.#retryNow)
    addEventListener('offline', this.#probe)
    document.addEventListener('visibilitychange', this.#probe)
    this.#open()
  }

  stop(): void {
    removeEventListener('online', this.#retryNow)
    removeEventListener('offline', this.#probe)
    document.removeEventListener('visibilitychange', this.#probe)
    clearTimeout(this.#retryTimer)
    this.#drop()
    this.#tell({ state: 'idle' })
  }

  /** Sends a frame and waits for its `ack`. Rejects with Refused, or with ConnectionLost when none came. */
  request(frame: ClientFrame): Promise<Ack> {
    const socket = this.#socket
    if (!socket || socket.readyState !== WebSocket.OPEN) return Promise.reject(new ConnectionLost('not connected'))
    const id = String(++this.#nextId)
    return new Promise<Ack>((resolve, reject) => {
      const timer = setTimeout(() => this.#lose(socket), ANSWER_TIMEOUT_MS)
      this.#waiters.set(id, { resolve, reject, timer })
      socket.send(JSON.stringify({ ...frame, id }))
    })
  }

  /** Sends a frame whose answer is no `ack`; it is lost with the connection. */
  send(frame: ClientFrame): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame))
  }

  #retryNow = (): void => {
    if (this.#status.state !== 'waiting' && this.#status.state !== 'offline') return
    clearTimeout(this.#retryTimer)
    this.#open()
  }

  retryNow(): void {
    this.#retryNow()
  }

  /** The browser's word about the network is a hint in both directions, so it is checked with a ping. */
  #probe = (): void => {
    if (document.visibilityState === 'hidden' || !this.#socket) {
      this.#retryNow()
      return
    }
    const socket = this.#socket
    const askedAt = Date.now()
    if (socket.readyState === WebSocket.OPEN) socket.send('{"type":"ping"}')
    setTimeout(() => {
      if (this.#heardAt < askedAt) this.#lose(socket)
    }, 4_000)
  }

  #open(): void {
    if (!navigator.onLine) {
      this.#tell({ state: 'offline' })
      return
    }
    this.#tell({ state: 'connecting' })
    const token = this.#options.token()
    if (!token) {
      this.#tell({ state: 'stopped', reason: 'denied' })
      return
    }
    const socket = new WebSocket(this.#options.url)
    this.#socket = socket
    this.#heardAt = Date.now()
    this.#openTimer = setTimeout(() => this.#lose(socket), OPEN_TIMEOUT_MS)
    socket.addEventListener('open', () => socket.send(JSON.stringify({ type: 'auth', token })))
    socket.addEventListener('message', event => this.#receive(socket, event.data))
    socket.addEventListener('close', event => this.#closed(socket, event.code))
  }

  #receive(socket: WebSocket, data: unknown): void {
    if (socket !== this.#socket || typeof data !== 'string') return
    this.#heardAt = Date.now()
    const frame = JSON.parse(data) as ServerFrame
    if (frame.type === 'ready') void this.#ready(socket, frame)
    else if (frame.type === 'ack' || (frame.type === 'error' && frame.id)) this.#answer(frame)
    else if (frame.type === 'reconnect') this.#leave(socket, frame.delay_ms)
    else this.#options.onFrame(frame)
  }

  #answer(frame: Ack | ErrorFrame): void {
    const waiter = this.#waiters.get(String(frame.id))
    if (!waiter) return
    this.#waiters.delete(String(frame.id))
    clearTimeout(waiter.timer)
    if (frame.type === 'error') waiter.reject(new Refused(frame))
    else waiter.resolve(frame)
  }

  async #ready(socket: WebSocket, frame: ReadyFrame): Promise<void> {
    clearTimeout(this.#openTimer)
    this.#renewed = false
    this.#heartbeatMs = frame.heartbeat_interval_ms || this.#heartbeatMs
    this.#heartbeatTimer = setInterval(() => this.#beat(socket), this.#heartbeatMs)
    this.#tell({ state: 'catching_up' })
    try {
      await this.#options.catchUp(frame)
    } catch {
      return this.#lose(socket)
    }
    if (socket !== this.#socket) return
    this.#attempt = 0
    this.#tell({ state: 'live' })
  }

  #beat(socket: WebSocket): void {
    if (Date.now() - this.#heardAt > this.#heartbeatMs + SILENCE_MS) this.#lose(socket)
    else if (socket.readyState === WebSocket.OPEN) socket.send('{"type":"ping"}')
  }

  /** The server will go away and says when to be back: the socket is left at that moment, not before. */
  #leave(socket: WebSocket, delayMs: number): void {
    this.#comeBackAt = Date.now() + delayMs
    setTimeout(() => this.#lose(socket), delayMs)
  }

  /** Treats a socket as gone now; its own close event may take minutes on a dead network. */
  #lose(socket: WebSocket): void {
    if (socket !== this.#socket) return
    this.#closed(socket, 1006)
    socket.close()
  }

  #closed(socket: WebSocket, code: number): void {
    if (socket !== this.#socket) return
    this.#drop()
    const action = closeAction(code)
    if (action.kind === 'stop') {
      this.#tell({ state: 'stopped', reason: action.reason })
      return
    }
    if (action.kind === 'renew') return void this.#renew(action.reason)
    const hinted = this.#comeBackAt === undefined ? undefined : Math.max(this.#comeBackAt - Date.now(), 0)
    this.#comeBackAt = undefined
    this.#wait(hinted ?? retryDelayMs(this.#attempt, action.leastMs))
    this.#attempt += 1
  }

  #wait(delayMs: number): void {
    if (!navigator.onLine) {
      this.#tell({ state: 'offline' })
      return
    }
    this.#tell({ state: 'waiting', retryAt: Date.now() + delayMs })
    this.#retryTimer = setTimeout(() => this.#open(), delayMs)
  }

  /** Once for each refusal: a fresh token that is refused as well ends it. */
  async #renew(reason: StopReason): Promise<void> {
    if (this.#renewed) return this.#tell({ state: 'stopped', reason })
    this.#renewed = true
    this.#tell({ state: 'connecting' })
    const token = await this.#options.renew().catch(() => undefined)
    if (this.#status.state !== 'connecting') return
    if (token) this.#open()
    else this.#tell({ state: 'stopped', reason })
  }

  #drop(): void {
    const socket = this.#socket
    this.#socket = undefined
    clearTimeout(this.#openTimer)
    clearInterval(this.#heartbeatTimer)
    if (socket && socket.readyState <= WebSocket.OPEN) socket.close()
    const waiters = [...this.#waiters.values()]
    this.#waiters.clear()
    for (const { reject, timer } of waiters) {
      clearTimeout(timer)
      reject(new ConnectionLost('the connection ended'))
    }
  }

  #tell(status: Status): void {
    this.#status = status
    this.#options.onStatus(status)
  }
}
