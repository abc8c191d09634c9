import type { IncomingMessage } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { FRAME_MAX_BYTES } from '@parley/contracts'
import type { RawData, WebSocket } from 'ws'
import { HEARTBEAT_INTERVAL_MS, RECONNECT_MAX_JITTER_MS } from '../limits.ts'
import { Connection } from './connection.ts'
import { type Services, Session } from './session.ts'

const TOKEN_WARNING_MS = 60_000
const HEARTBEATS_MISSED_MAX = 2
/** Longer than any question over NATS waits for its answer. */
const ANSWER_WITHIN_MS = 6_000
const CLOSE_WITHIN_MS = 1_000
/** How many are sent away a second: a twentieth of all, more where the window is too short for that, and of a few all at once. */
const LEAVING_SHARE = 0.05
const LEAVING_A_SECOND = 50

/** A socket that knows whose it is: so the functions that listen are made once for all sockets and not once for each. */
type KnownSocket = WebSocket & { session: Session }

/** All sockets of this gateway: how they come in, what their frames do, and how they end. */
export class Sockets {
  readonly #services: Services
  readonly #connections = new Set<Connection>()
  readonly #onError: (this: WebSocket, err: Error) => void
  readonly #onClose: (this: WebSocket, code: number) => void
  readonly #onFault: Connection['onFault']
  readonly #timer: NodeJS.Timeout
  readonly #drainWindowMs: number
  #beats = 0
  #closed: Promise<void> | undefined
  /** No more come in. */
  isClosing = false

  constructor(services: Services, { drainWindowMs }: { drainWindowMs: number }) {
    this.#services = services
    this.#drainWindowMs = drainWindowMs
    const { hub, log } = services
    const connections = this.#connections
    // A broken frame, a reset: the library has sent the right code. What else comes would be read only to be dropped.
    this.#onError = function (err) {
      log.debug({ err, connection_id: sessionOf(this).connection.id }, 'socket failed')
      this.terminate()
    }
    this.#onClose = function (code) {
      const session = sessionOf(this)
      const { connection } = session
      session.end()
      connections.delete(connection)
      hub.leave(connection)
      log.debug({ connection_id: connection.id, code }, 'socket closed')
    }
    this.#onFault = (err, { id }) => log.error({ err, connection_id: id }, 'a frame failed')
    this.#timer = setInterval(() => this.#tick(), 1_000)
  }

  get size(): number {
    return this.#connections.size
  }

  /**
   * Takes a socket in. The listener is attached before anything is awaited, so no frame is missed.
   *
   * @param credential how the client identified itself with the upgrade; undefined waits for an `auth` frame
   */
  accept(ws: WebSocket, credential: (() => Promise<string>) | undefined): void {
    const connection = new Connection(ws, this.#services.hub.turn, this.#onFault)
    const session = new Session(this.#services, connection)
    Object.assign(ws, { session })
    this.#connections.add(connection)
    ws.on('message', onMessage)
    ws.on('pong', onPong)
    ws.on('error', this.#onError)
    ws.on('close', this.#onClose)
    session.begin(credential)
  }

  /** Once a second: tokens that end, and every so often a heartbeat. */
  #tick(): void {
    const now = Date.now()
    const isBeat = ++this.#beats % (HEARTBEAT_INTERVAL_MS / 1_000) === 0
    for (const connection of this.#connections) {
      const { identity } = connection
      if (identity && identity.expires_at <= now) connection.close('token_expired')
      else if (identity && !connection.wasWarned && identity.expires_at - now <= TOKEN_WARNING_MS) {
        connection.wasWarned = true
        connection.send({ type: 'token_expiring', expires_at: new Date(identity.expires_at).toISOString() })
      }
      if (connection.isStuck(now)) connection.close('too_slow')
      else if (isBeat) beat(connection)
    }
  }

  /**
   * Sends every client elsewhere, a few at a time, so that they do not all come down on the others at once. Each is told
   * how long to wait, answered what it has in hand, and closed. Asked again, it is the same close.
   */
  close(): Promise<void> {
    this.#closed ??= this.#drain()
    return this.#closed
  }

  async #drain(): Promise<void> {
    this.isClosing = true
    const all = [...this.#connections]
    const startedAt = Date.now()
    const endsAt = startedAt + this.#drainWindowMs
    const aSecond = Math.max(LEAVING_A_SECOND, all.length * LEAVING_SHARE, all.length / (this.#drainWindowMs / 1_000))
    const leaving: Promise<void>[] = []
    for (const [index, connection] of all.entries()) {
      const early = startedAt + (index / aSecond) * 1_000 - Date.now()
      if (early > 0) await delay(early)
      leaving.push(this.#sendAway(connection, endsAt))
    }
    await Promise.all(leaving)
    // Those whose upgrade was under way.
    for (const connection of this.#connections) connection.close('restart')
    clearInterval(this.#timer)
    await within(CLOSE_WITHIN_MS, () => this.#connections.size === 0)
    for (const connection of this.#connections) connection.terminate()
  }

  async #sendAway(connection: Connection, endsAt: number): Promise<void> {
    if (!connection.isOpen) return
    const delay_ms = Math.floor(Math.random() * RECONNECT_MAX_JITTER_MS)
    connection.send({ type: 'reconnect', delay_ms })
    // As long as there is time it goes on being served until it goes by itself.
    await delay(Math.max(0, Math.min(delay_ms, endsAt - Date.now())))
    connection.isLeaving = true
    await within(ANSWER_WITHIN_MS, () => connection.inHand === 0 || !connection.isOpen)
    connection.close('restart')
  }
}

const sessionOf = (ws: WebSocket): Session => (ws as KnownSocket).session

function onMessage(this: WebSocket, data: RawData, isBinary: boolean): void {
  sessionOf(this).onMessage(data, isBinary)
}

function onPong(this: WebSocket): void {
  sessionOf(this).connection.isAlive = true
}

async function within(ms: number, isDone: () => boolean): Promise<void> {
  for (const until = Date.now() + ms; !isDone() && Date.now() < until; ) await delay(20)
}

function beat(connection: Connection): void {
  connection.missedHeartbeats = connection.isAlive ? 0 : connection.missedHeartbeats + 1
  if (connection.missedHeartbeats >= HEARTBEATS_MISSED_MAX) {
    connection.close('no_heartbeat')
    connection.terminate()
    return
  }
  connection.isAlive = false
  connection.ping()
}

/** How the server of the upgrades is set: small frames, few fragments, no compression. */
export const SOCKET_OPTIONS = {
  maxPayload: FRAME_MAX_BYTES,
  maxFragments: 64,
  maxBufferedChunks: 256,
  perMessageDeflate: false,
  // A client that does not answer a close holds its place no longer than this.
  closeTimeout: 5_000,
  clientTracking: false
} as const

/** The token that comes with an upgrade by header or query. */
export function tokenOf(request: IncomingMessage, inQuery: string | undefined): string | undefined {
  const header = request.headers.authorization
  if (header !== undefined) return header.replace(/^Bearer +/i, '')
  return inQuery
}
