import { randomUUIDv7 } from 'node:crypto'
import type { Socket } from 'node:net'
import { CLOSE, type CloseReason, type ConversationAdded, type ConversationRemoved } from '@parley/contracts'
import type { Static } from '@sinclair/typebox'
import type { WebSocket } from 'ws'
import type { Identity } from '../tokens.ts'
import { textFrame } from './frame.ts'
import { Gate } from './gate.ts'
import type { Room } from './room.ts'
import type { Gathering, Turn } from './turn.ts'

/** From here on a reader is slow: passing frames to it are dropped. */
export const SLOW_BYTES = 256 * 1024
/** From here on it is behind: its live frames stop, and what it missed follows as `sync` once it has drained. */
export const BEHIND_BYTES = 512 * 1024
/** More than that never waits: the answers to its own questions brought it here; it is closed, and resumes with nothing lost. */
export const BACKLOG_MAX_BYTES = 1024 * 1024
/** How long a reader may take nothing at all. */
const STUCK_MS = 10_000
const OPEN = 1

/** From one seq to another, both included. */
export type Range = readonly [from: number, until: number]

/** A message of a person's own subject: a conversation that came or went, or a moment as its finished frame. */
export type PersonalMessage =
  | { change: Static<typeof ConversationAdded> | Static<typeof ConversationRemoved> }
  | { moment: Buffer; origin: string | undefined }

/** What we know of the library's parser, as of the version that is installed. */
interface Parser {
  /** It goes on with what it has read. */
  _loop: boolean
  _state: number
  _opcode: number
  /** What it has been given and not parsed yet. */
  _buffers: Buffer[]
  _bufferedBytes: number
}
const BEFORE_A_FRAME = 0
const CLOSE_FRAME = 0x8

/** One socket of one person: what it follows, and what is on its way to it. */
export class Connection implements Gathering {
  readonly id = randomUUIDv7()
  readonly #ws: WebSocket
  readonly #socket: Socket
  readonly #turn: Turn
  #frames: Buffer[] = []
  #bytes = 0
  /** What the kernel had taken when that was last seen to grow, and when that was. */
  #taken = 0
  #movedAt = 0
  /** Told of what went wrong on our side while a frame of this client was answered. */
  readonly onFault: (error: unknown, connection: Connection) => void
  identity: Identity | undefined
  /** The conversations that it follows, each with the version at which it came in: a removal before that is history. */
  readonly rooms = new Map<Room, number>()
  /** What was said in conversations while its person was away, where there is such a thing, from one seq to another. */
  hidden: Map<Room, readonly Range[]> | undefined
  /** Holds live frames back while it is slow or put in step; null, and so without cost, otherwise. */
  gate: Gate | null = null
  /** Told when the reader becomes slow: whoever sees to it that it is put in step again. */
  onSlow: ((connection: Connection) => void) | undefined
  /** What puts it in step, one after the other. */
  catchingUp: Promise<unknown> | undefined
  turnsWaiting = 0
  isRecovering = false
  /** `ready` is on its way: nothing may be told before it. */
  isReady = false
  /** What concerns this person and came before `ready`. */
  early: PersonalMessage[] | undefined
  /** A pong or a frame came since the last heartbeat. */
  isAlive = true
  missedHeartbeats = 0
  wasWarned = false
  /** It is being sent away: what it asks from here on is to be asked elsewhere. */
  isLeaving = false
  /** Questions of this client that are not answered yet. */
  inHand = 0

  constructor(ws: WebSocket, turn: Turn, onFault: Connection['onFault']) {
    this.#ws = ws
    this.onFault = onFault
    this.#socket = (ws as unknown as { _socket: Socket })._socket
    this.#turn = turn
  }

  get isOpen(): boolean {
    return this.#ws.readyState === OPEN
  }

  /** Whether live frames of this size may still be written; a reader that has taken everything may be given more at once. */
  hasRoomFor(bytes: number): boolean {
    const { writableLength } = this.#socket
    return writableLength + this.#bytes + bytes <= (writableLength === 0 ? BACKLOG_MAX_BYTES : BEHIND_BYTES)
  }

  /** Sends a frame at the end of this turn. */
  send(frame: object): void {
    this.write(textFrame(JSON.stringify(frame)))
  }

  /** Writes finished frames at the end of this turn; the buffer may be shared with other connections. */
  write(frames: Buffer): void {
    if (this.#frames.length === 0) this.#turn.connectionHasOutput(this)
    this.#frames.push(frames)
    this.#bytes += frames.length
  }

  putOut(): void {
    const frames = this.#frames
    const bytes = this.#bytes
    this.#frames = []
    this.#bytes = 0
    if (!this.isOpen || this.#socket.destroyed) return
    if (this.#socket.writableLength + bytes > BACKLOG_MAX_BYTES && this.#socket.writableLength > 0) return this.close('too_slow')
    // Past the library's own queue: without compression it writes straight through as well.
    if (frames.length === 1) {
      this.#socket.write(frames[0]!)
    } else {
      this.#socket.cork()
      for (const frame of frames) this.#socket.write(frame)
      this.#socket.uncork()
    }
    const waiting = this.#socket.writableLength
    if (waiting > SLOW_BYTES) this.#lag(waiting > BEHIND_BYTES)
  }

  /** Stops the live frames of a reader that has no room for them. */
  fallBehind(): void {
    this.#lag(true)
  }

  #lag(isBehind: boolean): void {
    const gate = Gate.of(this)
    gate.isBehind ||= isBehind
    if (gate.isSlow) return
    gate.isSlow = true
    this.onSlow?.(this)
  }

  /** Resolves once the client has taken most of what was sent, or is gone: who sends much waits for it in between. */
  async drained(): Promise<void> {
    await new Promise(resolve => setImmediate(resolve))
    while (this.isOpen && !this.#socket.destroyed && this.#socket.writableLength > SLOW_BYTES) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#socket.once('drain', resolve).once('close', resolve)
      await promise
      this.#socket.off('drain', resolve).off('close', resolve)
    }
  }

  /** Whether something waits for the client and nothing of it was taken for 10 s; asked once a second. */
  isStuck(now: number): boolean {
    const waiting = this.#socket.writableLength
    const taken = this.#socket.bytesWritten - waiting
    if (waiting === 0 || taken !== this.#taken) {
      this.#taken = taken
      this.#movedAt = now
    }
    return now - this.#movedAt >= STUCK_MS
  }

  ping(): void {
    if (this.isOpen) this.#ws.ping()
  }

  /** Puts out what is waiting, then closes; ends the socket where the client does not answer in time. */
  close(reason: CloseReason): void {
    if (this.#frames.length > 0 && reason !== 'too_slow') this.putOut()
    const { code, reason: text } = CLOSE[reason]
    const isFlood = reason === 'policy' || reason === 'malformed'
    // A reader that does not read would not see the close either, and its backlog stays until the socket ends; one that
    // floods us does not care for it.
    if (reason === 'too_slow' || isFlood) setTimeout(() => this.#ws.terminate(), 1_000).unref()
    this.#ws.close(code, text)
    if (isFlood) this.#readNoMore()
  }

  /**
   * Whatever else it sends would be read only to be dropped. Pausing alone leaves what has been read already, which the library
   * parses to its end at once and, where some of it waits, when the socket ends: with up to 11,000 empty frames each of 200
   * sockets 1.9 of 2.7 s went there. So its parser stands from here on as after a close of the client, which nothing follows.
   */
  #readNoMore(): void {
    this.#ws.pause()
    const { _receiver: parser } = this.#ws as unknown as { _receiver: Parser }
    parser._loop = false
    parser._state = BEFORE_A_FRAME
    parser._opcode = CLOSE_FRAME
    parser._buffers = []
    parser._bufferedBytes = 0
  }

  terminate(): void {
    this.#ws.terminate()
  }
}
