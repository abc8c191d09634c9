import { setTimeout as delay } from 'node:timers/promises'
import { WebSocket } from 'ws'

// biome-ignore lint/suspicious/noExplicitAny: a frame has the shape that the test expects
export type Frame = { type: string; [field: string]: any }

export interface SocketOptions {
  /** How the token is shown: in a first frame (the default), in the header, in the query, or not at all. */
  how?: 'frame' | 'header' | 'query' | 'none'
  headers?: Record<string, string>
  /** Below the host; the token of `query` is added. */
  path?: string
}

export interface Closed {
  code: number
  reason: string
  /** The HTTP status where the upgrade was refused. */
  status?: number
}

const ANSWER_MS = 5_000

/** A client's socket. It keeps every frame that came; `next` gives each of them once. */
export class Socket {
  readonly frames: Frame[] = []
  /** The `ready` frame; rejects when the socket closes without one. */
  readonly ready: Promise<Frame>
  readonly opened: Promise<void>
  /** Settles when the socket is closed, by whomever; never rejects. */
  readonly closed: Promise<Closed>
  readonly #socket: WebSocket
  readonly #given = new Set<Frame>()
  readonly #onFrame = new Set<() => void>()
  #lastId = 0
  #isClosed: Closed | undefined

  constructor(socket: WebSocket) {
    this.#socket = socket
    let status: number | undefined
    socket.on('unexpected-response', (_, response) => {
      status = response.statusCode
      response.resume()
      // Ends the attempt, and with it the socket: with a listener the library leaves both to us.
      socket.terminate()
    })
    socket.on('error', () => {})
    this.opened = new Promise(resolve => socket.once('open', () => resolve()))
    this.closed = new Promise(resolve =>
      socket.once('close', (code, reason) => {
        this.#isClosed = { code, reason: reason.toString(), ...(status !== undefined && { status }) }
        for (const wake of this.#onFrame) wake()
        resolve(this.#isClosed)
      })
    )
    socket.on('message', data => {
      this.frames.push(JSON.parse(String(data)))
      for (const wake of this.#onFrame) wake()
    })
    this.ready = this.next('ready', 10_000)
    this.ready.catch(() => {})
  }

  send(frame: Frame): void {
    this.sendRaw(JSON.stringify(frame))
  }

  /** Sends what may be no frame at all. */
  sendRaw(data: string | Uint8Array): void {
    this.#socket.send(data)
  }

  /** Sends a frame with an id and gives the one ack or error that carries the same. */
  ask(frame: Frame, timeoutMs = ANSWER_MS): Promise<Frame> {
    const id = frame.id ?? `ask-${++this.#lastId}`
    this.send({ ...frame, id })
    return this.next(answer => answer.id === id, timeoutMs)
  }

  /**
   * Gives the first frame that fits and that was not given before; waits for it where it has not come yet.
   *
   * @param wanted a type, or a condition
   * @throws Error when the time is over or the socket closes
   */
  async next(wanted: string | ((frame: Frame) => boolean), timeoutMs = ANSWER_MS): Promise<Frame> {
    const fits = typeof wanted === 'string' ? (frame: Frame) => frame.type === wanted : wanted
    const deadline = Date.now() + timeoutMs
    for (;;) {
      const frame = this.frames.find(candidate => !this.#given.has(candidate) && fits(candidate))
      if (frame) {
        this.#given.add(frame)
        return frame
      }
      const left = deadline - Date.now()
      if (this.#isClosed || left <= 0) {
        const why = this.#isClosed
          ? `the socket closed with ${this.#isClosed.code} ${this.#isClosed.reason}`
          : `none within ${timeoutMs} ms`
        const seen = this.frames.map(({ type }) => type).slice(-20)
        throw new Error(`no such frame (${typeof wanted === 'string' ? wanted : wanted.toString()}): ${why}; last came ${seen.join(', ')}`)
      }
      await this.#wake(left)
    }
  }

  async #wake(timeoutMs: number): Promise<void> {
    const over = new AbortController()
    let wake = () => {}
    const woken = new Promise<void>(resolve => (wake = resolve))
    this.#onFrame.add(wake)
    await Promise.race([woken, delay(timeoutMs, undefined, { signal: over.signal }).catch(() => {})])
    over.abort()
    this.#onFrame.delete(wake)
  }

  /** Closes with a handshake. */
  async close(code = 1000): Promise<Closed> {
    this.#socket.close(code)
    return this.closed
  }

  /** Ends the connection without a word, as a lost network does. */
  kill(): void {
    this.#socket.terminate()
  }

  /** Stops reading, as a client does that is too slow. */
  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }
}

/** Opens a socket to a gateway. What it is told of is in `ready` and `closed`; whoever opens it ends it. */
export function openSocket(url: string, token: string, { how = 'frame', headers = {}, path = '/api/v1/ws' }: SocketOptions = {}): Socket {
  const target = new URL(path, url.replace(/^http/, 'ws'))
  if (how === 'query') target.searchParams.set('token', token)
  const socket = new WebSocket(target, { headers: { ...(how === 'header' && { authorization: `Bearer ${token}` }), ...headers } })
  const wrapped = new Socket(socket)
  if (how === 'frame') void wrapped.opened.then(() => wrapped.send({ type: 'auth', token }))
  return wrapped
}
