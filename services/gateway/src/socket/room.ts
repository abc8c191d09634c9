import type { Subscription } from '@parley/nats-kit'
import type { Connection } from './connection.ts'
import { textFrame, versionOf } from './frame.ts'
import type { Gathering, Turn } from './turn.ts'

/** Two stores publish out of order as a matter of course: what came early waited 0.3 to 30 ms for all that was seen. */
const HOLE_PATIENCE_MS = 100
const EARLY_MAX_BYTES = 1024 * 1024

/** What a room asks for when a version is missing, and tells of. */
export interface RoomOwner {
  readonly turn: Turn
  heal(room: Room): void
  onHeld(): void
}

interface Change {
  version: number
  frame: Buffer
}

/**
 * One conversation on this gateway: its live subscription, the sockets that follow it and the last version they were
 * given. Versions go out contiguous: what is old is dropped, what is early is held, a hole that stays is healed.
 */
export class Room implements Gathering {
  readonly id: string
  readonly #owner: RoomOwner
  readonly connections = new Set<Connection>()
  subscription: Subscription | undefined
  /** Undefined until the subscription stands and the store said where the conversation is. */
  version: number | undefined
  isHealing = false
  #out: Change[] = []
  #moments: Buffer[] = []
  #hasOutput = false
  readonly #early = new Map<number, Uint8Array>()
  #earlyBytes = 0
  #patience: NodeJS.Timeout | undefined

  constructor(id: string, owner: RoomOwner) {
    this.id = id
    this.#owner = owner
  }

  /**
   * Hot path: a message of the stream, one frame a line. Nothing is parsed; each frame is made once, whatever the number
   * of sockets. Measured: bench/README.md.
   */
  receive(data: Uint8Array): void {
    let from = 0
    while (from < data.length) {
      const end = data.indexOf(LINE_FEED, from)
      const line = from === 0 && end === -1 ? data : data.subarray(from, end === -1 ? undefined : end)
      from = end === -1 ? data.length : end + 1
      const version = versionOf(line)
      if (version === undefined) continue
      if (version === (this.version ?? Number.NaN) + 1) this.#accept(version, line)
      else if (this.version === undefined || version > this.version) this.#hold(version, line)
    }
    if (this.#early.size > 0 && this.version !== undefined) this.#acceptEarly()
  }

  /** A passing frame, which has no version: a read position. */
  receiveMoment(data: Uint8Array): void {
    this.#moments.push(textFrame(data))
    this.#schedule()
  }

  /** Says where the conversation is, once the subscription stands; what came since is let through. */
  stand(version: number): void {
    this.version ??= version
    this.#acceptEarly()
  }

  /** What was missed, as the store tells it: every socket gets it before anything newer. */
  healWith(version: number, sync: Buffer): void {
    this.#out.push({ version, frame: sync })
    this.version = version
    this.#schedule()
    this.#acceptEarly()
  }

  #accept(version: number, line: Uint8Array): void {
    this.version = version
    this.#out.push({ version, frame: textFrame(line) })
    this.#schedule()
  }

  #hold(version: number, line: Uint8Array): void {
    if (this.#early.has(version)) return
    this.#owner.onHeld()
    this.#early.set(version, line)
    this.#earlyBytes += line.length
    if (this.#earlyBytes <= EARLY_MAX_BYTES) return this.#watchHole()
    // More than that is fetched again instead of being kept.
    this.#forgetEarly()
    this.#healNow()
  }

  #watchHole(): void {
    if (this.version === undefined) return
    this.#patience ??= setTimeout(() => {
      this.#patience = undefined
      if (this.#early.size > 0) this.#healNow()
    }, HOLE_PATIENCE_MS)
  }

  #healNow(): void {
    if (this.version !== undefined && !this.isHealing) this.#owner.heal(this)
  }

  #acceptEarly(): void {
    for (const version of this.#early.keys()) if (version <= this.version!) this.#drop(version)
    for (let line = this.#early.get(this.version! + 1); line; line = this.#early.get(this.version! + 1)) {
      this.#drop(this.version! + 1)
      this.#accept(this.version! + 1, line)
    }
    if (this.#early.size > 0) return this.#watchHole()
    clearTimeout(this.#patience)
    this.#patience = undefined
  }

  #drop(version: number): void {
    this.#earlyBytes -= this.#early.get(version)?.length ?? 0
    this.#early.delete(version)
  }

  #forgetEarly(): void {
    this.#early.clear()
    this.#earlyBytes = 0
  }

  #schedule(): void {
    if (this.#hasOutput) return
    this.#hasOutput = true
    this.#owner.turn.roomHasOutput(this)
  }

  /** Hands everyone what gathered in this turn: one buffer for all, but for those who are being put in step. */
  putOut(): void {
    const changes = this.#out
    const moments = this.#moments
    this.#out = []
    this.#moments = []
    this.#hasOutput = false
    if (changes.length + moments.length === 0) return
    const frames = [...changes.map(({ frame }) => frame), ...moments]
    const all = frames.length === 1 ? frames[0]! : Buffer.concat(frames)
    for (const connection of this.connections) {
      if (connection.gate === null) connection.write(all)
      else this.#passThrough(connection, changes, moments)
    }
  }

  #passThrough(connection: Connection, changes: readonly Change[], moments: readonly Buffer[]): void {
    for (const { version, frame } of changes) {
      if (connection.gate) connection.gate.pass(this.id, version, frame)
      else connection.write(frame)
    }
    // Before `ready` a moment is worth nothing: what the client reads then is newer.
    if (connection.isReady) for (const moment of moments) connection.write(moment)
  }

  close(): void {
    this.subscription?.unsubscribe()
    clearTimeout(this.#patience)
    this.#patience = undefined
    this.#forgetEarly()
  }
}

const LINE_FEED = 0x0a
