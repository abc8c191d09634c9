import { AppError, AuthFrame, CLOSE, check, parseJson } from '@parley/contracts'
import type { FastifyBaseLogger } from 'fastify'
import type { RawData } from 'ws'
import type { Directory } from '../directory.ts'
import { AUTH_WITHIN_MS, HEARTBEAT_INTERVAL_MS, LIMITS, RECONNECT_MAX_JITTER_MS, SOCKETS_PER_USER_MAX } from '../limits.ts'
import type { Identity, Tokens } from '../tokens.ts'
import { FrameBudget, MalformedBudget } from './budgets.ts'
import type { Followed } from './catch-up.ts'
import { type Commands, idIn, idOf, refuse, runCommand } from './commands.ts'
import type { Connection } from './connection.ts'
import type { Hub } from './hub.ts'

/** Frames that may come while a client is being let in. */
const EARLY_FRAMES_MAX = 64

/** A socket's way: it comes unknown, is let in, and then is open. What it sends while it is let in waits. */
type State = { phase: 'unknown'; deadline: NodeJS.Timeout | undefined } | { phase: 'entering'; early: string[] } | { phase: 'open' }

const UNKNOWN: State = { phase: 'unknown', deadline: undefined }
const OPEN: State = { phase: 'open' }

export interface Services {
  hub: Hub
  tokens: Tokens
  directory: Directory
  commands: Commands
  log: FastifyBaseLogger
}

/** One client's conversation with us: authentication first, then its frames in order. */
export class Session {
  readonly #services: Services
  readonly connection: Connection
  #state = UNKNOWN
  #frames: FrameBudget | undefined
  #malformed: MalformedBudget | undefined

  constructor(services: Services, connection: Connection) {
    this.#services = services
    this.connection = connection
  }

  begin(credential: (() => Promise<string>) | undefined): void {
    if (credential) void this.#enter(credential, undefined)
    else this.#state = { phase: 'unknown', deadline: setTimeout(() => this.connection.close('unauthenticated'), AUTH_WITHIN_MS) }
  }

  end(): void {
    if (this.#state.phase === 'unknown') clearTimeout(this.#state.deadline)
  }

  onMessage(data: RawData, isBinary: boolean): void {
    const connection = this.connection
    connection.isAlive = true
    if (!connection.isOpen) return
    this.#frames ??= new FrameBudget()
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
      return this.connection.close('unauthenticated')
    }
    void this.#enter(async () => frame.token, idOf(frame))
  }

  async #enter(credential: () => Promise<string>, id: string | undefined): Promise<void> {
    const { hub, tokens, log } = this.#services
    const connection = this.connection
    const early: string[] = []
    if (this.#state.phase === 'unknown') clearTimeout(this.#state.deadline)
    this.#state = { phase: 'entering', early }
    try {
      const identity = await tokens.verify(await credential())
      if (!connection.isOpen) return
      connection.identity = identity
      const followed = await hub.catchUp.admission.run(() => this.#follow(identity))
      if (!followed || !connection.isOpen) return hub.leave(connection)
      const { state, open } = followed
      connection.send({
        type: 'ready',
        ...(id !== undefined && { id }),
        connection_id: connection.id,
        user_id: identity.profile.id,
        server_time: new Date().toISOString(),
        heartbeat_interval_ms: HEARTBEAT_INTERVAL_MS,
        reconnect_max_jitter_ms: RECONNECT_MAX_JITTER_MS,
        token_expires_at: new Date(identity.expires_at).toISOString(),
        unread_total: state.unread_total,
        conversations: state.conversations.map(({ id, version, unread_count }) => ({ id, version, unread_count })),
        limits: LIMITS
      })
      open()
      this.#state = OPEN
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

  /**
   * Its turn has come. Only now, and not before it waited, is it looked at who else is here and whether the store knows the
   * person: meanwhile they may have been deactivated, and none of those who wait is among the sockets that are ended then.
   *
   * @returns undefined where it does not come in
   */
  async #follow(identity: Identity): Promise<Followed | undefined> {
    const { hub, directory } = this.#services
    const connection = this.connection
    const { id: user_id, org_id } = identity.profile
    if (!connection.isOpen) return undefined
    if ((hub.connectionsOf(user_id, org_id)?.size ?? 0) >= SOCKETS_PER_USER_MAX) {
      connection.close('too_many_sockets')
      return undefined
    }
    return directory.tell(identity, news => hub.catchUp.follow(connection, news))
  }

  /** Answers a frame, whatever it is; never throws. */
  #run(text: string): void {
    // The close that follows says that it was not taken. A refusal would be tried again at once, and here: each second try of
    // busy senders was refused so as well.
    if (this.connection.isLeaving) return
    try {
      const frame = parseJson(text)
      if (typeof frame !== 'object' || frame === null || Array.isArray(frame))
        throw new AppError('invalid_frame', 'a frame is a JSON object')
      const { type } = frame as { type?: unknown }
      if (typeof type !== 'string') throw new AppError('invalid_frame', 'a frame has a type')
      if (type === 'auth') this.#renew(frame)
      else runCommand(this.#services.commands, this.connection, type, frame)
    } catch (error) {
      this.#onBadFrame(error, idIn(text))
    }
  }

  #renew(frame: object): void {
    check(AuthFrame.schema, frame, 'invalid_frame')
    const connection = this.connection
    void this.#services.tokens
      .verify(frame.token)
      .then(async identity => {
        const { profile } = connection.identity!
        if (identity.profile.id !== profile.id || identity.profile.org_id !== profile.org_id) return connection.close('unauthenticated')
        await this.#services.directory.ensure(identity)
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
    const connection = this.connection
    if (!(error instanceof AppError)) return refuse(connection, id, error)
    // Refused content is an answer like any other, not a broken frame.
    if (CONTENT_CODES.has(error.code)) return refuse(connection, id, error)
    refuse(
      connection,
      id,
      new AppError(error.code === 'invalid_json' ? 'invalid_frame' : error.code, error.message, { errors: error.errors }),
      CLOSE.malformed.code
    )
    this.#malformed ??= new MalformedBudget()
    if (!this.#malformed.take()) connection.close('malformed')
  }
}

const CONTENT_CODES: ReadonlySet<string> = new Set(['content_empty', 'content_too_long'])
