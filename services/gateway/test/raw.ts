import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { Scope } from '@parley/test-kit'

function connectTo(url: string): Socket {
  const { hostname, port } = new URL(url)
  return connect(Number(port), hostname).on('error', () => {})
}

/** Sends bytes as they are, piece by piece, and gives all that comes back until the server ends it or is silent for `forMs`. */
export async function exchange(url: string, pieces: (string | Buffer)[], { pauseMs = 0, forMs = 2_000 } = {}) {
  const socket = connectTo(url)
  let text = ''
  let isClosed = false
  let lastAt = Date.now()
  socket.setEncoding('latin1').on('data', data => {
    text += data
    lastAt = Date.now()
  })
  socket.on('close', () => {
    isClosed = true
  })
  for (const piece of pieces) {
    if (!socket.destroyed) socket.write(piece)
    if (pauseMs > 0) await delay(pauseMs)
  }
  while (!isClosed && Date.now() - lastAt < forMs) await delay(10)
  socket.destroy()
  const statuses = [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(match => Number(match[1]))
  return { text, statuses, isClosed }
}

/** A frame as a client may build it, right or wrong. */
export function frame(
  payload: string | Buffer,
  {
    opcode = 1,
    isFinal = true,
    rsv = 0,
    isMasked = true,
    length
  }: { opcode?: number; isFinal?: boolean; rsv?: number; isMasked?: boolean; length?: bigint } = {}
): Buffer {
  const data = Buffer.from(payload)
  const size = length ?? BigInt(data.length)
  const head = [(isFinal ? 0x80 : 0) | (rsv << 4) | opcode]
  const mask = isMasked ? 0x80 : 0
  const header = Buffer.alloc(size < 126n ? 0 : size < 65_536n ? 2 : 8)
  if (header.length === 2) header.writeUInt16BE(Number(size))
  if (header.length === 8) header.writeBigUInt64BE(size)
  head.push(mask | (header.length === 0 ? Number(size) : header.length === 2 ? 126 : 127))
  const key = randomBytes(4)
  const body = isMasked ? Buffer.concat([key, data.map((byte, index) => byte ^ key[index % 4]!)]) : data
  return Buffer.concat([Buffer.from(head), header, body])
}

/** A WebSocket without a library between: what it sends is up to the test. */
export class RawSocket {
  readonly socket: Socket
  readonly texts: string[] = []
  pongs = 0
  /** The code of the close frame that came, if any; settles when the connection is gone. */
  readonly closed: Promise<number | undefined>
  #buffer = Buffer.alloc(0)
  #code: number | undefined
  #isUp = false

  constructor(url: string, token: string) {
    this.socket = connectTo(url)
    const key = randomBytes(16).toString('base64')
    this.socket.write(
      `GET /api/v1/ws HTTP/1.1\r\nhost: ${new URL(url).host}\r\nupgrade: websocket\r\nconnection: Upgrade\r\n` +
        `sec-websocket-version: 13\r\nsec-websocket-key: ${key}\r\nauthorization: Bearer ${token}\r\n\r\n`
    )
    this.closed = new Promise(resolve => this.socket.on('close', () => resolve(this.#code)))
    this.socket.on('data', data => {
      this.#buffer = Buffer.concat([this.#buffer, data])
      this.#read()
    })
  }

  #read(): void {
    if (!this.#isUp) {
      const end = this.#buffer.indexOf('\r\n\r\n')
      if (end === -1) return
      this.#isUp = true
      this.#buffer = this.#buffer.subarray(end + 4)
    }
    for (;;) {
      if (this.#buffer.length < 2) return
      const short = this.#buffer[1]! & 0x7f
      const header = short < 126 ? 2 : short === 126 ? 4 : 10
      if (this.#buffer.length < header) return
      const size = short < 126 ? short : short === 126 ? this.#buffer.readUInt16BE(2) : Number(this.#buffer.readBigUInt64BE(2))
      if (this.#buffer.length < header + size) return
      const payload = this.#buffer.subarray(header, header + size)
      const opcode = this.#buffer[0]! & 0x0f
      if (opcode === 1) this.texts.push(payload.toString())
      if (opcode === 8) this.#code = payload.length >= 2 ? payload.readUInt16BE(0) : 1005
      if (opcode === 10) this.pongs++
      this.#buffer = this.#buffer.subarray(header + size)
    }
  }

  write(...frames: Buffer[]): void {
    this.socket.write(Buffer.concat(frames))
  }
}

export async function openRaw(t: Scope, url: string, token: string): Promise<RawSocket> {
  const raw = new RawSocket(url, token)
  t.teardown(() => raw.socket.destroy())
  while (!raw.texts.some(text => text.startsWith('{"type":"ready"'))) {
    if (raw.socket.destroyed) throw new Error('the socket did not become ready')
    await delay(5)
  }
  return raw
}
