import type { Changes } from '@parley/contracts'
import type { Subscription } from '@parley/nats-kit'
import type { Connection } from './connection.ts'
import { Early } from './early.ts'
import { TYPE_AT, textFrame, textOf, versionOf } from './frame.ts'
import { Gate } from './gate.ts'
import type { Patience } from './patience.ts'
import { ReadPositions } from './read-positions.ts'
import type { Gathering, Turn } from './turn.ts'

/** What goes out in one turn is mostly far below: then nobody is asked whether there is room for it. */
const LARGE_BYTES = 64 * 1024

/** What a room asks for when a version is missing, and tells of. */
export interface RoomOwner {
  readonly turn: Turn
  readonly patience: Patience
  heal(room: Room): void
  onHeld(): void
  /** A connection's person is not in this conversation any more, since this version. */
  part(connection: Connection, room: Room, version: number): void
}

/** A finished frame that takes a conversation from one version to another. */
export interface Change {
  from: number
  version: number
  frame: Buffer
  /** Who is not in the conversation any more at this version. */
  gone: readonly string[] | undefined
  /** Where it is a `sync`: whose place in the conversation changed in between. What they may be told of it, the store knows. */
  moved: readonly string[] | undefined
  /** Where a message was changed: its seq, once somebody asked for it. Otherwise null. */
  seq: number | null | undefined
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
  /** Up to here its sockets were given everything; what is between this and `version` goes out at the end of the turn. */
  told = 0
  isHealing = false
  /** Sockets of those who may not see all of it, since they were away at a time. */
  partial: Set<Connection> | undefined
  /** Sockets that said that they have it open. */
  viewers: Set<Connection> | undefined
  viewersSubscription: Subscription | undefined
  #reads: ReadPositions | undefined
  #viewersReads: ReadPositions | undefined
  #out: Change[] = []
  #moments: Buffer[] = []
  #viewersMoments: Buffer[] = []
  #hasOutput = false
  readonly #early: Early

  constructor(id: string, owner: RoomOwner) {
    this.id = id
    this.#owner = owner
    this.#early = new Early(owner.patience, () => this.#healNow())
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
      if (this.version === undefined || version > this.version + 1) {
        this.#hold(version, line)
      } else {
        if (version > this.version) this.#accept(version, line)
        this.#early.came(version)
      }
    }
    if (this.#early.size > 0 && this.version !== undefined) this.#acceptEarly()
  }

  /** A passing frame, which has no version: a read position. */
  receiveMoment(data: Uint8Array): void {
    this.#reads ??= new ReadPositions(frame => {
      this.#moments.push(frame)
      this.#schedule()
    })
    this.#reads.take(data)
  }

  /** As `receiveMoment`, of a conversation that is too large to tell everybody. */
  receiveViewersMoment(data: Uint8Array): void {
    this.#viewersReads ??= new ReadPositions(frame => {
      this.#viewersMoments.push(frame)
      this.#schedule()
    })
    this.#viewersReads.take(data)
  }

  /** Says where the conversation is, once the subscription stands; what came since is let through. */
  stand(version: number): void {
    if (this.version === undefined) {
      this.version = version
      this.told = version
    }
    this.#acceptEarly()
  }

  /** What was missed, as the store tells it: every socket gets it before anything newer. */
  healWith({ version, participants }: Pick<Changes, 'version' | 'participants'>, sync: Buffer): void {
    const idsOf = (isActive: boolean) => participants.filter(p => p.is_active === isActive).map(p => p.user_id)
    this.#out.push({ from: this.version!, version, frame: sync, gone: idsOf(false), moved: idsOf(true), seq: null })
    this.version = version
    this.#schedule()
    this.#acceptEarly()
  }

  #accept(version: number, line: Uint8Array): void {
    // First, since it throws where a line is no frame: then the version is still to come.
    const gone = goneBy(line)
    this.version = version
    const seq = line[TYPE_AT] === M ? undefined : null
    this.#out.push({ from: version - 1, version, frame: textFrame(line), gone, moved: undefined, seq })
    this.#schedule()
  }

  #hold(version: number, line: Uint8Array): void {
    if (!this.#early.hold(version, line)) return
    this.#owner.onHeld()
    if (this.version !== undefined) this.#early.watch(this.version)
  }

  #healNow(): void {
    if (this.version !== undefined && !this.isHealing) this.#owner.heal(this)
  }

  #acceptEarly(): void {
    for (let line = this.#early.take(this.version! + 1); line; line = this.#early.take(this.version! + 1)) {
      this.#accept(this.version! + 1, line)
    }
    this.#early.follow(this.version!)
  }

  /** What came early and waits for what is missing before it. */
  get early(): number[] {
    return this.#early.versions
  }

  /**
   * Forgets what came early before the store was asked, and is newer than all that it has: a change is told once it is
   * committed, so nobody has made these. They would be taken for a hole for ever, and for the real ones once those come.
   */
  disbelieve(early: readonly number[], head: number): void {
    for (const version of early) if (version > head) this.#early.drop(version)
  }

  #schedule(): void {
    if (this.#hasOutput) return
    this.#hasOutput = true
    this.#owner.turn.roomHasOutput(this)
  }

  /** Hands everyone what gathered in this turn: one buffer for all, but for those who are slow or being put in step. */
  putOut(): void {
    const changes = this.#out
    const moments = this.#moments
    this.#out = []
    this.#moments = []
    this.#hasOutput = false
    if (this.#viewersMoments.length > 0) this.#putOutToViewers()
    if (changes.length + moments.length === 0) return
    const done = changes.some(({ gone }) => gone) ? this.#giveToConcerned(changes) : undefined
    const frames = [...changes.map(({ frame }) => frame), ...moments]
    const all = frames.length === 1 ? frames[0]! : Buffer.concat(frames)
    const isLarge = all.length > LARGE_BYTES
    const hidden = changes.some(({ seq, moved }) => seq !== null || moved) ? this.partial : undefined
    for (const connection of this.connections) {
      if (done?.has(connection)) continue
      const isPlain = connection.gate === null && !hidden?.has(connection)
      if (isPlain && !(isLarge && !connection.hasRoomFor(all.length))) connection.write(all)
      else this.#passThrough(connection, changes, moments)
    }
    this.told = changes.at(-1)?.version ?? this.told
  }

  #passThrough(connection: Connection, changes: readonly Change[], moments: readonly Buffer[]): void {
    for (const change of changes) Gate.of(connection).pass(this, change)
    connection.gate?.openIfIdle()
    // Before `ready` a moment is worth nothing: what the client reads then is newer.
    if (connection.isReady && !connection.gate?.isSlow) for (const moment of moments) connection.write(moment)
  }

  /**
   * A change as one connection may be told of it: what happened to a message that was said while its person was away is
   * passed over by an empty `sync`, which leaves no hole.
   *
   * @returns undefined where only the store can tell: it told us what is for all
   */
  asSeenBy(connection: Connection, change: Change): Change | undefined {
    const hidden = change.seq === null && !change.moved ? undefined : connection.hidden?.get(this)
    if (!hidden) return change
    if (change.moved) return undefined
    change.seq ??= JSON.parse(textOf(change.frame)).message.seq as number
    const { seq, from, version } = change
    if (!hidden.some(([first, last]) => first <= seq && seq <= last)) return change
    const sync = { type: 'sync', conversation_id: this.id, from_version: from, version, has_more: false, messages: [], participants: [] }
    return { ...change, frame: textFrame(JSON.stringify(sync)) }
  }

  #putOutToViewers(): void {
    const moments = Buffer.concat(this.#viewersMoments)
    this.#viewersMoments = []
    for (const connection of this.viewers ?? []) if (!connection.gate?.isSlow) connection.write(moments)
  }

  /** Those whose own place in the conversation changed are looked at one by one; gives who they were. */
  #giveToConcerned(changes: readonly Change[]): Set<Connection> {
    const done = new Set<Connection>()
    for (const connection of this.connections) {
      // One that is being put in step has them held, and is looked at when they are released.
      if (connection.gate?.isHeld(this.id) || !changes.some(change => this.#concerns(connection, change))) continue
      done.add(connection)
      this.giveTo(connection, changes)
    }
    return done
  }

  #concerns(connection: Connection, { version, gone, moved }: Change): boolean {
    const { id } = connection.identity!.profile
    return version > connection.rooms.get(this)! && ((gone?.includes(id) || moved?.includes(id)) ?? false)
  }

  /** Gives one connection changes in their order; to whom is removed up to that, and then nothing more. */
  giveTo(connection: Connection, changes: readonly Change[]): void {
    for (const change of changes) {
      const isConcerned = change.gone !== undefined && this.#concerns(connection, change)
      const isGone = isConcerned && change.gone!.includes(connection.identity!.profile.id)
      if (isConcerned && change.moved !== undefined && !isGone) Gate.of(connection).owe(this, change.from)
      else if (!isGone || change.moved === undefined) Gate.of(connection).pass(this, change)
      if (isGone) return this.#owner.part(connection, this, change.version)
    }
    connection.gate?.openIfIdle()
  }

  close(): void {
    this.subscription?.unsubscribe()
    this.viewersSubscription?.unsubscribe()
    this.#reads?.close()
    this.#viewersReads?.close()
    this.#early.clear()
  }
}

const LINE_FEED = 0x0a
/** The first letter of `message_updated` and `message_deleted`, which no other change has. */
const M = 'm'.charCodeAt(0)
/** The first letter of `participant_…`, which no other change has. */
const P = 'p'.charCodeAt(0)

/** Who is gone by a change: `participant_removed` names them. */
function goneBy(line: Uint8Array): readonly string[] | undefined {
  if (line[TYPE_AT] !== P) return undefined
  const { participant } = JSON.parse(Buffer.from(line.buffer, line.byteOffset, line.byteLength).toString())
  return participant.is_active ? undefined : [participant.user_id]
}
