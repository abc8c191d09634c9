import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** What came back for a request: the status of the service convention (200 where it names none), and the payload as text. */
export interface RawReply {
  status: number
  text: string
}

const HEADER = /^Nats-Service-Error-Code: *(\d+)/im

/**
 * A NATS connection that speaks the protocol itself: for requests that none of our own callers makes, and for answers that
 * are later than those callers wait.
 */
export class RawNats {
  readonly #socket: Socket
  readonly #inbox = `_INBOX.${randomUUID()}`
  readonly #waiting = new Map<string, (reply: RawReply) => void>()
  #buffer = Buffer.alloc(0)
  #count = 0

  constructor(socket: Socket) {
    this.#socket = socket
    socket.on('error', () => {})
    socket.on('data', data => {
      this.#buffer = Buffer.concat([this.#buffer, data])
      while (this.#takeOne()) {}
    })
    socket.write(`CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true}\r\nSUB ${this.#inbox}.* 1\r\n`)
  }

  static async connect(url: string): Promise<RawNats> {
    const { hostname, port } = new URL(url)
    const socket = connect({ host: hostname, port: Number(port) })
    await once(socket, 'connect')
    return new RawNats(socket)
  }

  /** @throws Error when there is no answer in time */
  request(subject: string, payload: unknown, timeoutMs = 10_000): Promise<RawReply> {
    const reply = `${this.#inbox}.${++this.#count}`
    const text = Buffer.from(JSON.stringify(payload))
    const { promise, resolve, reject } = Promise.withResolvers<RawReply>()
    const timer = setTimeout(() => reject(new Error(`${subject} was not answered within ${timeoutMs} ms`)), timeoutMs)
    this.#waiting.set(reply, resolve)
    this.#socket.write(Buffer.concat([Buffer.from(`PUB ${subject} ${reply} ${text.length}\r\n`), text, Buffer.from('\r\n')]))
    return promise.finally(() => {
      clearTimeout(timer)
      this.#waiting.delete(reply)
    })
  }

  close(): void {
    this.#socket.destroy()
  }

  #takeOne(): boolean {
    const end = this.#buffer.indexOf('\r\n')
    if (end === -1) return false
    const words = this.#buffer.subarray(0, end).toString().split(' ')
    const [verb, subject] = words
    if (verb !== 'MSG' && verb !== 'HMSG') {
      if (verb === 'PING') this.#socket.write('PONG\r\n')
      this.#buffer = this.#buffer.subarray(end + 2)
      return true
    }
    const total = Number(words.at(-1))
    const headerLength = verb === 'HMSG' ? Number(words.at(-2)) : 0
    const from = end + 2
    if (this.#buffer.length < from + total + 2) return false
    const head = this.#buffer.subarray(from, from + headerLength).toString()
    const text = this.#buffer.subarray(from + headerLength, from + total).toString()
    this.#buffer = this.#buffer.subarray(from + total + 2)
    this.#waiting.get(subject!)?.({ status: Number(HEADER.exec(head)?.[1] ?? /^NATS\/1\.0 (\d+)/.exec(head)?.[1] ?? 200), text })
    return true
  }
}
