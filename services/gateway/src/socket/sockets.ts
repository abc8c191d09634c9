import type { IncomingMessage } from 'node:http'
import { AppError, AuthFrame, CLOSE, check, FRAME_MAX_BYTES, parseJson } from '@parley/contracts'
import type { FastifyBaseLogger } from 'fastify'
import type { RawData, WebSocket } from 'ws'
import type { Directory } from '../directory.ts'
import { AUTH_WITHIN_MS, HEARTBEAT_INTERVAL_MS, LIMITS, RECONNECT_MAX_JITTER_MS, SOCKETS_PER_USER_MAX } from '../limits.ts'
import type { Tokens } from '../tokens.ts'
import { FrameBudget, MalformedBudget } from './budgets.ts'
import { type Commands, idIn, idOf, refuse, runCommand } from './commands.ts'
import { Connection } from './connection.ts'
import type { Hub } from './hub.ts'

const TOKEN_WARNING_MS = 60_000
const HEARTBEATS_MISSED_MAX = 2
/** Longer than any question over NATS waits for its answer. */
const ANSWER_WITHIN_MS = 6_000
const CLOSE_WITHIN_MS = 1_000
/** Frames that may come while a client is being let in. */
const EARLY_FRAMES_MAX = 64

/** A socket's way: it comes unknown, is let in, and then is open. What it sends while it is let in waits. */
type State = { phase: 'unknown'; deadline: NodeJS.Timeout } | { phase: 'entering'; early: string[] } | { phase: 'open' }

export interface Services {
  hub: Hub
  tokens: Tokens
  directory: Directory
  commands: Commands
  log: FastifyBaseLogger
}

/** All sockets of this gateway: how they come in, what their frames do, and how they end. */
export class Sockets {
  readonly #services: Services
  readonly #connections = new Set<Connection>()
  readonly #timer: NodeJS.Timeout
  #beats = 0
  isClosing = false

  constructor(services: Services) {
    this.#services = services
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
    const { hub, log } = this.#services
    const connection = new Connection(ws, hub.turn, err => log.error({ err, connection_id: connection.id }, 'a frame failed'))
    const session = new Session(this.#services, connection, this)
    this.#connections.add(connection)
    ws.on('message', (data, isBinary) => session.onMessage(data, isBinary))
    ws.on('pong', () => {
      connection.isAlive = true
    })
    // A broken frame, a reset: the library closes with the right code, there is nothing to add.
    ws.on('error', err => log.debug({ err, connection_id: connection.id }, 'socket failed'))
    ws.on('close', code => {
      session.end()
      this.#connections.delete(connection)
      hub.leave(connection)
      log.debug({ connection_id: connection.id, code }, 'socket closed')
    })
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
   * Tells every client to come back, each after a delay of its own; answers what is in hand, then closes. What they ask
   * from here on is refused, to be asked elsewhere.
   */
  async close(): Promise<void> {
    this.isClosing = true
    clearInterval(this.#timer)
    for (const connection of this.#connections) {
      connection.send({ type: 'reconnect', delay_ms: Math.floor(Math.random() * RECONNECT_MAX_JITTER_MS) })
    }
    await this.#within(ANSWER_WITHIN_MS, () => ![...this.#connections].some(connection => connection.inHand > 0))
    for (const connection of this.#connections) connection.close('restart')
    await this.#within(CLOSE_WITHIN_MS, () => this.#connections.size === 0)
    for (const connection of this.#connections) connection.terminate()
  }

  async #within(ms: number, isDone: () => boolean): Promise<void> {
    for (const until = Date.now() + ms; !isDone() && Date.now() < until; ) await new Promise(resolve => setTimeout(resolve, 10))
  }
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

/** One client's conversation with us: authentication first, then its frames in order. */
class Session {
  readonly #services: Services
  readonly #connection: Connection
  readonly #sockets: Sockets
  #state: State
  readonly #frames = new FrameBudget()
  readonly #malformed = new MalformedBudget()

  constructor(services: Services, connection: Connection, sockets: Sockets) {
    this.#services = services
    this.#connection = connection
    this.#sockets = sockets
    this.#state = { phase: 'unknown', deadline: setTimeout(() => connection.close('unauthenticated'), AUTH_WITHIN_MS) }
  }

  begin(credential: (() => Promise<string>) | undefined): void {
    if (credential) void this.#enter(credential, undefined)
  }

  end(): void {
    if (this.#state.phase === 'unknown') clearTimeout(this.#state.deadline)
  }

  onMessage(data: RawData, isBinary: boolean): void {
    const connection = this.#connection
    connection.isAlive = true
    if (!connection.isOpen) return
    if (!this.#frames.take()) return connection.close('policy')
    const state = this.#state
    // A binary frame says nothing, in whichever phase it comes.
    const text = isBinary ? '' : (data as Buffer).toString()
    if (state.phase === 'entering') {
      if (state.early.push(text) > EARLY_FRAMES_MAX) connection.close('policy')
    } else if (state.phase === 'unknown') {
      this.#authenticate(text)
    } else {
      this.#run(text)
    }
  }

  #authenticate(text: string): void {
    let frame: unknown
    try {
      frame = parseJson(text)
      check(AuthFrame.schema, frame)
    } catch {
      // Whatever it is, it is not an authentication.
      return this.#connection.close('unauthenticated')
    }
    void this.#enter(async () => frame.token, idOf(frame))
  }

  async #enter(credential: () => Promise<string>, id: string | undefined): Promise<void> {
    const { hub, tokens, directory, log } = this.#services
    const connection = this.#connection
    const early: string[] = []
    if (this.#state.phase === 'unknown') clearTimeout(this.#state.deadline)
    this.#state = { phase: 'entering', early }
    try {
      const identity = await tokens.verify(await credential())
      await directory.ensure(identity.profile)
      if (!connection.isOpen) return
      const { id: user_id, org_id } = identity.profile
      if ((hub.connectionsOf(user_id, org_id)?.size ?? 0) >= SOCKETS_PER_USER_MAX) return connection.close('too_many_sockets')
      connection.identity = identity
      const { state, open } = await hub.catchUp.follow(connection)
      if (!connection.isOpen) return hub.leave(connection)
      connection.send({
        type: 'ready',
        ...(id !== undefined && { id }),
        connection_id: connection.id,
        user_id,
        server_time: new Date().toISOString(),
        heartbeat_interval_ms: HEARTBEAT_INTERVAL_MS,
        reconnect_max_jitter_ms: RECONNECT_MAX_JITTER_MS,
        token_expires_at: new Date(identity.expires_at).toISOString(),
        unread_total: state.unread_total,
        conversations: state.conversations,
        limits: LIMITS
      })
      open()
      this.#state = { phase: 'open' }
      for (const text of early) this.#run(text)
    } catch (error) {
      if (error instanceof AppError && error.code === 'token_expired') connection.close('token_expired')
      else if (error instanceof AppError && error.status === 401) connection.close('unauthenticated')
      else {
        log.warn({ err: error, connection_id: connection.id }, 'a socket could not be let in')
        connection.close('overloaded')
      }
    }
  }

  /** Answers a frame, whatever it is; never throws. */
  #run(text: string): void {
    try {
      const frame = parseJson(text)
      if (typeof frame !== 'object' || frame === null || Array.isArray(frame))
        throw new AppError('invalid_frame', 'a frame is a JSON object')
      if (this.#sockets.isClosing)
        return refuse(this.#connection, idOf(frame), new AppError('unavailable', 'the gateway is restarting; ask again elsewhere'))
      const { type } = frame as { type?: unknown }
      if (typeof type !== 'string') throw new AppError('invalid_frame', 'a frame has a type')
      if (type === 'auth') this.#renew(frame)
      else runCommand(this.#services.commands, this.#connection, type, frame)
    } catch (error) {
      this.#onBadFrame(error, idIn(text))
    }
  }

  #renew(frame: object): void {
    check(AuthFrame.schema, frame, 'invalid_frame')
    const connection = this.#connection
    void this.#services.tokens
      .verify(frame.token)
      .then(async identity => {
        const { profile } = connection.identity!
        if (identity.profile.id !== profile.id || identity.profile.org_id !== profile.org_id) return connection.close('unauthenticated')
        await this.#services.directory.ensure(identity.profile)
        connection.identity = identity
        connection.wasWarned = false
        connection.send({
          type: 'ack',
          ...(frame.id !== undefined && { id: frame.id }),
          token_expires_at: new Date(identity.expires_at).toISOString()
        })
      })
      .catch(error => {
        if (error instanceof AppError && error.code === 'token_expired') connection.close('token_expired')
        else if (error instanceof AppError && error.status === 401) connection.close('unauthenticated')
        else refuse(connection, frame.id, error)
      })
  }

  /** A frame that breaks its contract is told so; the fifth in a minute ends the socket. */
  #onBadFrame(error: unknown, id: string | undefined): void {
    const connection = this.#connection
    if (!(error instanceof AppError)) return refuse(connection, id, error)
    // Refused content is an answer like any other, not a broken frame.
    if (CONTENT_CODES.has(error.code)) return refuse(connection, id, error)
    refuse(
      connection,
      id,
      new AppError(error.code === 'invalid_json' ? 'invalid_frame' : error.code, error.message, { errors: error.errors }),
      CLOSE.malformed.code
    )
    if (!this.#malformed.take()) connection.close('malformed')
  }
}

const CONTENT_CODES: ReadonlySet<string> = new Set(['content_empty', 'content_too_long'])

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
export function tokenOf(request: IncomingMessage, query: URLSearchParams): string | undefined {
  const header = request.headers.authorization
  if (header !== undefined) return header.replace(/^Bearer +/i, '')
  return query.get('token') ?? undefined
}
