import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'

export interface Reader {
  /** A text frame: its payload stands in `buffer` from `start` to `end`, until this returns. `now` is in microseconds. */
  onText(buffer: Buffer, start: number, end: number, now: number): void
  onClose(reason: string): void
}

const TEXT = 0x81
const CLOSE = 0x88
const PING = 0x89
const PONG = 0x8a

/** All sockets read into this one: it is filled, and its reader called back, before the next socket is read. */
const READ_BUFFER = Buffer.allocUnsafe(256 * 1024)

/** The clock of the load generator, in microseconds. */
export const clock = (): number => Math.round(performance.now() * 1_000)

/**
 * A WebSocket client that costs as little as it can: no object, no copy and no parsing per frame, one clock reading per
 * read. A library's client took a core for itself long before the server did. It reads what servers of this bench send,
 * which is unmasked and unfragmented, and nothing else.
 */
export class LoadSocket {
  readonly #reader: Reader
  readonly #socket: Socket
  #rest: Buffer | undefined
  #isUpgraded = false
  #closeReason = 'the connection ended'

  constructor(url: URL, headers: Record<string, string>, reader: Reader) {
    this.#reader = reader
    this.#socket = connect({
      host: url.hostname,
      port: Number(url.port),
      noDelay: true,
      onread: { buffer: READ_BUFFER, callback: (length, buffer) => this.#onRead(length, buffer as Buffer) }
    })
    const key = randomBytes(16).toString('base64')
    const lines = Object.entries({
      host: url.host,
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': key,
      ...headers
    }).map(([name, value]) => `${name}: ${value}\r\n`)
    this.#socket.write(`GET ${url.pathname}${url.search} HTTP/1.1\r\n${lines.join('')}\r\n`)
    this.#socket.on('error', error => {
      this.#closeReason = error.message
    })
    this.#socket.on('close', () => reader.onClose(this.#closeReason))
  }

  /** Sends ASCII text. The mask is zero, which leaves the payload as it is and costs the server what any mask does. */
  send(text: string): void {
    this.#write(TEXT, Buffer.from(text, 'latin1'))
  }

  end(): void {
    this.#socket.destroy()
  }

  #write(head: number, payload: Buffer): void {
    const headerLength = payload.length < 126 ? 6 : 8
    const frame = Buffer.alloc(headerLength + payload.length)
    frame[0] = head
    if (payload.length < 126) {
      frame[1] = 0x80 | payload.length
    } else {
      frame[1] = 0x80 | 126
      frame.writeUInt16BE(payload.length, 2)
    }
    frame.set(payload, headerLength)
    this.#socket.write(frame)
  }

  #onRead(length: number, buffer: Buffer): boolean {
    const now = clock()
    let data = buffer
    let end = length
    if (this.#rest) {
      data = Buffer.concat([this.#rest, buffer.subarray(0, length)])
      end = data.length
      this.#rest = undefined
    }
    const at = this.#isUpgraded ? this.#readFrames(data, 0, end, now) : this.#readUpgrade(data, end, now)
    if (at < end) this.#rest = Buffer.from(data.subarray(at, end))
    return true
  }

  #readUpgrade(data: Buffer, end: number, now: number): number {
    const head = data.toString('latin1', 0, end)
    const headEnd = head.indexOf('\r\n\r\n')
    if (headEnd === -1) return 0
    if (!head.startsWith('HTTP/1.1 101 ')) {
      this.#closeReason = `the upgrade was refused: ${head.slice(0, head.indexOf('\r\n'))}`
      this.#socket.destroy()
      return end
    }
    this.#isUpgraded = true
    return this.#readFrames(data, headEnd + 4, end, now)
  }

  /** Hot path: runs once a read, its loop once a frame. @returns where the first unfinished frame begins */
  #readFrames(data: Buffer, from: number, end: number, now: number): number {
    let at = from
    while (at + 2 <= end) {
      let length = data[at + 1]!
      let start = at + 2
      if (length === 126) {
        start = at + 4
        if (start > end) break
        length = (data[at + 2]! << 8) | data[at + 3]!
      } else if (length === 127) {
        start = at + 10
        if (start > end) break
        length = data.readUInt32BE(at + 6)
      }
      const next = start + length
      if (next > end) break
      if (data[at] === TEXT) this.#reader.onText(data, start, next, now)
      else this.#onControl(data[at]!, data.subarray(start, next))
      at = next
    }
    return at
  }

  #onControl(head: number, payload: Buffer): void {
    if (head === PING) return this.#write(PONG, payload)
    if (head === CLOSE)
      this.#closeReason = `closed with ${payload.length >= 2 ? payload.readUInt16BE(0) : 'no code'} ${payload.toString('utf8', 2)}`
    else if (head !== PONG) this.#closeReason = `sent a frame that this client does not read (first byte ${head})`
    if (head !== PONG) this.#socket.end()
  }
}
