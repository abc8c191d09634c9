import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { until } from '@parley/test-kit'

const UPGRADE_MS = 30_000

/** What no client library would send: bytes on a connection to a gateway, which may or may not be a WebSocket. */
export class RawSocket {
  readonly socket: Socket
  readonly openedAt = performance.now()
  /** When it ended, by whomever; 0 while it stands. */
  closedAt = 0
  /** With which code it was closed, where it was told one, and when. */
  code: number | undefined
  toldAt = 0
  /** The first of what the server said. */
  said = ''
  #isUpgraded = false

  constructor(url: string) {
    const { hostname, port } = new URL(url)
    this.socket = connect({ host: hostname, port: Number(port), noDelay: true })
    this.socket.on('error', () => {})
    this.socket.on('data', data => this.#onData(data))
    this.socket.once('close', () => {
      this.closedAt = performance.now()
    })
    // A server that has ended its half has closed it, as far as anybody waits for it.
    this.socket.once('end', () => this.socket.destroy())
  }

  get isOpen(): boolean {
    return this.closedAt === 0
  }

  /** When it was told that it is closed, or else cut off; 0 before that. */
  get endedAt(): number {
    return this.toldAt || this.closedAt
  }

  /** Becomes a WebSocket; whose it is is told in the header, or not at all. */
  async upgrade(token?: string): Promise<void> {
    this.write(
      `GET /api/v1/ws HTTP/1.1\r\nhost: parley\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n` +
        `sec-websocket-key: ${randomBytes(16).toString('base64')}\r\n${token === undefined ? '' : `authorization: Bearer ${token}\r\n`}\r\n`
    )
    await until(() => this.said.includes('\r\n\r\n') || !this.isOpen, { timeoutMs: UPGRADE_MS, what: 'the upgrade is answered' })
    if (!this.said.startsWith('HTTP/1.1 101 ')) throw new Error(`no upgrade: ${this.said.slice(0, 80) || 'the connection was closed'}`)
    this.#isUpgraded = true
  }

  write(data: string | Buffer): void {
    if (this.isOpen) this.socket.write(data)
  }

  #onData(data: Buffer): void {
    if (this.said.length < 4_096) this.said += data.toString('latin1')
    if (!this.#isUpgraded) return
    // A close of the server's comes last; a frame of text that ends in its bytes would have to be made for it.
    const at = data.lastIndexOf(0x88)
    if (at === -1 || at + 4 > data.length || data[at + 1]! >= 126 || at + 2 + data[at + 1]! !== data.length) return
    this.code = data.readUInt16BE(at + 2)
    this.toldAt ||= performance.now()
  }

  destroy(): void {
    this.socket.destroy()
  }
}

/** A frame as a client writes it: masked, with a mask of zeros. */
export function clientFrame(opcode: number, payload: Buffer, isFinal = true): Buffer {
  if (payload.length > 125) throw new Error('short frames only')
  return Buffer.concat([Buffer.from([(isFinal ? 0x80 : 0) | opcode, 0x80 | payload.length, 0, 0, 0, 0]), payload])
}
