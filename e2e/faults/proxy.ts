import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import type { Scope } from '@parley/test-kit'
import { Random } from './random.ts'

/** Which way bytes go: `up` from who connects to whom it connects to, `down` back. */
export type Way = 'up' | 'down'

/** What a link does to bytes of one way. All of it may be set and taken back while connections stand. */
export interface Toxics {
  /** Each piece comes so much later, give or take the jitter; the order of bytes stays. */
  latencyMs?: number
  jitterMs?: number
  bytesPerSecond?: number
  /** Pieces are cut to this size. */
  sliceBytes?: number
  /** The chance of each piece to reset the connection instead of passing. */
  resetChance?: number
  /** The connection is reset once so many bytes have passed this way. */
  resetAfterBytes?: number
  /** Nothing passes any more and nothing is said: the sender is not even held up, its bytes are gone. */
  isSilent?: boolean
  /** The chance of each piece to have one bit flipped. */
  flipChance?: number
  /** The connection is reset where this text passes; `before` it, or right `after`. */
  cutAt?: { marker: string; when: 'before' | 'after' }
  /**
   * Made for each connection at its first piece; changes each, and null swallows it. For what no network does, but a broken
   * neighbour may.
   */
  transform?: () => (piece: Buffer) => Buffer | null
}

interface Connection {
  client: Socket
  server: Socket
}

/**
 * A TCP connection's way through a network that can be made bad, while it runs, in each direction by itself. It works on
 * pieces as they are read; nothing is known of what they mean.
 */
export class Link {
  readonly url: string
  readonly toxics: Record<Way, Toxics> = { up: {}, down: {} }
  /** New connections are refused at once. */
  isRefusing = false
  /** New connections are taken, and nothing is ever said on them. */
  isDeaf = false
  readonly #connections = new Set<Connection>()
  readonly #deaf = new Set<Socket>()
  readonly #random: Random
  readonly #target: { host: string; port: number }
  /** How often a fault of the link met a connection. */
  readonly counts = { resets: 0, flips: 0, cuts: 0 }

  /** Use `startLink`. */
  constructor(target: URL, port: number, random: Random) {
    this.#target = { host: target.hostname, port: Number(target.port) }
    this.#random = random
    const url = new URL(target)
    url.port = `${port}`
    this.url = url.href.replace(/\/$/, '')
  }

  get size(): number {
    return this.#connections.size
  }

  /** The link is good again. */
  heal(): void {
    this.toxics.up = {}
    this.toxics.down = {}
    this.isRefusing = false
    this.isDeaf = false
  }

  /** Sets the same for both ways. */
  both(toxics: Toxics): void {
    this.toxics.up = { ...toxics }
    this.toxics.down = { ...toxics }
  }

  /** Ends every connection by a reset. */
  reset(): void {
    for (const connection of this.#connections) reset(connection)
    for (const socket of this.#deaf) socket.resetAndDestroy()
  }

  /** A client has connected. */
  take(client: Socket): void {
    client.on('error', () => {})
    if (this.isRefusing) return void client.resetAndDestroy()
    if (this.isDeaf) {
      this.#deaf.add(client)
      client.once('close', () => this.#deaf.delete(client))
      client.resume()
      return
    }
    client.setNoDelay(true)
    const server = connect({ ...this.#target, allowHalfOpen: true, noDelay: true })
    const connection = { client, server }
    this.#connections.add(connection)
    server.on('error', () => reset(connection))
    client.on('error', () => reset(connection))
    let open = 2
    for (const socket of [client, server]) {
      socket.once('close', () => {
        if (--open === 0) this.#connections.delete(connection)
      })
    }
    void this.#pump('up', connection, client, server)
    void this.#pump('down', connection, server, client)
  }

  async #pump(way: Way, connection: Connection, from: Socket, to: Socket): Promise<void> {
    let passed = 0
    let tail = ''
    const queue = new Delayed(to)
    const changes = new Map<NonNullable<Toxics['transform']>, (piece: Buffer) => Buffer | null>()
    try {
      for await (const chunk of from as AsyncIterable<Buffer>) {
        for (const piece of sliced(chunk, this.toxics[way].sliceBytes)) {
          const toxics = this.toxics[way]
          if (toxics.isSilent) continue
          if (toxics.resetChance && this.#random.chance(toxics.resetChance)) return this.#reset(connection)
          const { cutAt } = toxics
          if (cutAt) {
            const at = Buffer.from(tail + piece.toString('latin1'), 'latin1').indexOf(cutAt.marker)
            tail = (tail + piece.toString('latin1')).slice(-cutAt.marker.length)
            if (at !== -1) {
              this.counts.cuts++
              if (cutAt.when === 'after') await queue.push(piece, {}, this.#random)
              return this.#reset(connection, cutAt.when === 'after')
            }
          }
          let changed: Buffer | null = piece
          if (toxics.transform) {
            const change = changes.get(toxics.transform) ?? toxics.transform()
            changes.set(toxics.transform, change)
            changed = change(piece)
          }
          if (changed === null) continue
          await queue.push(this.#flipped(changed, toxics), toxics, this.#random)
          passed += piece.length
          if (toxics.resetAfterBytes !== undefined && passed >= toxics.resetAfterBytes) return this.#reset(connection)
        }
      }
      await queue.drained()
      // A polite end passes; in silence nothing does.
      if (!this.toxics[way].isSilent) to.end()
    } catch {
      reset(connection)
    }
  }

  #flipped(piece: Buffer, { flipChance }: Toxics): Buffer {
    if (!flipChance || !this.#random.chance(flipChance) || piece.length === 0) return piece
    const flipped = Buffer.from(piece)
    const at = this.#random.whole(piece.length)
    flipped[at] = flipped[at]! ^ (1 << this.#random.whole(8))
    this.counts.flips++
    return flipped
  }

  async #reset(connection: Connection, isAfter = false): Promise<void> {
    this.counts.resets++
    // What has passed already is given a moment to leave this process before the reset overtakes it.
    if (isAfter) await new Promise(resolve => setTimeout(resolve, 5))
    reset(connection)
  }
}

/** Writes pieces in their order, each when its time has come; holds up whoever pushes faster than the link carries. */
class Delayed {
  readonly #to: Socket
  #last: Promise<void> = Promise.resolve()
  #busyUntil = 0
  #waiting = 0

  constructor(to: Socket) {
    this.#to = to
  }

  async push(piece: Buffer, { latencyMs = 0, jitterMs = 0, bytesPerSecond }: Toxics, random: Random): Promise<void> {
    const now = performance.now()
    const lateMs = latencyMs === 0 && jitterMs === 0 ? 0 : Math.max(0, latencyMs + random.between(-jitterMs, jitterMs))
    if (bytesPerSecond) this.#busyUntil = Math.max(this.#busyUntil, now) + (piece.length / bytesPerSecond) * 1_000
    const due = Math.max(now + lateMs, bytesPerSecond ? this.#busyUntil : 0)
    if (due <= now && this.#waiting === 0) return this.#write(piece)
    this.#waiting++
    this.#last = this.#last
      .then(() => wait(due - performance.now()))
      .then(() => this.#write(piece))
      .finally(() => this.#waiting--)
    this.#last.catch(() => {})
    // A link holds only so much: beyond that, its sender waits as with a full window.
    if (bytesPerSecond || this.#waiting > WAITING_MAX) await this.#last
  }

  drained(): Promise<void> {
    return this.#last
  }

  async #write(piece: Buffer): Promise<void> {
    if (this.#to.destroyed) throw new Error('the other end is gone')
    if (!this.#to.write(piece)) {
      await Promise.race([once(this.#to, 'drain'), once(this.#to, 'close')])
    }
  }
}

const WAITING_MAX = 256
const wait = (ms: number): Promise<void> | undefined => (ms > 0 ? new Promise(resolve => setTimeout(resolve, ms)) : undefined)

function* sliced(chunk: Buffer, size: number | undefined): Generator<Buffer> {
  if (!size) return yield chunk
  for (let from = 0; from < chunk.length; from += size) yield chunk.subarray(from, from + size)
}

function reset({ client, server }: Connection): void {
  for (const socket of [client, server]) {
    // A socket that is just saying its end cannot be reset: it would stand for ever, in nobody's hands.
    if (socket.writableEnded && !socket.writableFinished) socket.destroy()
    else socket.resetAndDestroy()
  }
}

/** Puts a link in front of an address; its `url` is the same but for the port. */
export async function startLink(t: Scope, target: string, random: Random = new Random(1)): Promise<Link> {
  const server = createServer({ allowHalfOpen: true })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const link = new Link(new URL(target), (server.address() as AddressInfo).port, random)
  server.on('connection', client => link.take(client))
  t.teardown(async () => {
    link.heal()
    server.close()
    link.reset()
    await once(server, 'close')
  })
  return link
}
