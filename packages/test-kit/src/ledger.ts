import { CHANGE_TYPES, type Message, type Participant } from '@parley/contracts'
import type { Frame } from './socket.ts'

interface Entry {
  /** Up to here the client has everything. */
  held: number
  /** Up to here this connection has told everything, counted from its `ready`; undefined before it named the conversation. */
  live: number | undefined
  /** Where this connection began to tell. */
  since: number
  readonly messages: Map<string, Message>
  /** Who is or was in it, with the version at which that was told. */
  readonly people: Map<string, { version: number; is_active: boolean }>
}

/**
 * What a client holds that goes by the letter of the interface, and a strict look at each frame on its way in: on one
 * connection versions only rise and none is passed over, nothing comes before `ready`, nothing comes of a conversation
 * that was not named, or from which the client was removed. Whatever breaks that is a sentence in `faults`.
 */
export class Ledger {
  readonly faults: string[] = []
  readonly #entries = new Map<string, Entry>()
  #isReady = false

  /** A new connection begins: what is held stays, what a connection has told begins anew. */
  begin(): void {
    this.#isReady = false
    for (const entry of this.#entries.values()) entry.live = undefined
  }

  /** What a `resume` carries: for each conversation the version up to which nothing is missing. */
  cursors(): Record<string, number> {
    return Object.fromEntries([...this.#entries].map(([id, { held }]) => [id, held]))
  }

  held(conversation_id: string): number {
    return this.#entries.get(conversation_id)?.held ?? 0
  }

  /** The messages of a conversation as the client shows them. */
  messages(conversation_id: string): Message[] {
    return [...(this.#entries.get(conversation_id)?.messages.values() ?? [])].sort((a, b) => a.seq - b.seq)
  }

  /** Who is in a conversation, of those of whom the client was told. */
  people(conversation_id: string): string[] {
    const known = this.#entries.get(conversation_id)?.people ?? new Map()
    return [...known].filter(([, { is_active }]) => is_active).map(([user_id]) => user_id)
  }

  take(frame: Frame): void {
    if (frame.type === 'ready') return this.#ready(frame)
    if (!this.#isReady) return this.#fault(`${frame.type} came before ready`)
    if (frame.type === 'conversation_added') this.#added(frame)
    else if (frame.type === 'conversation_removed') this.#entries.delete(frame.conversation_id)
    else if (frame.type === 'resumed') for (const id of [...(frame.removed ?? []), ...(frame.reset ?? [])]) this.#forget(id)
    else if (frame.type === 'sync') this.#sync(frame)
    else if (CHANGE_TYPES.has(frame.type)) this.#change(frame)
  }

  /** What was held of a conversation is worth nothing; one that this connection has named meanwhile goes on from there. */
  #forget(id: string): void {
    if (this.#entries.get(id)?.live === undefined) this.#entries.delete(id)
  }

  #ready({ conversations }: Frame): void {
    if (this.#isReady) this.#fault('ready came twice')
    this.#isReady = true
    for (const { id, version } of conversations) {
      const entry = this.#entry(id)
      if (version < entry.held) this.#fault(`${id}: ready says version ${version}, ${entry.held} was told before`)
      entry.live = version
      entry.since = version
    }
  }

  /** A large conversation is told by its version alone. */
  #added({ conversation_id: id, version: told, conversation }: Frame): void {
    // What was held of an earlier stay is not brought up to date any more.
    if (this.#entries.get(id)?.live === undefined) this.#entries.delete(id)
    const entry = this.#entry(id)
    const version = conversation?.version ?? told
    for (const participant of conversation?.participants ?? []) seat(entry, version, participant)
    if (entry.live !== undefined) return this.#fault(`${id}: added, though it was named before`)
    entry.live = version
    entry.since = version
    entry.held = Math.max(entry.held, version)
  }

  #change({ type, conversation_id: id, version, message, participant }: Frame): void {
    const entry = this.#entry(id)
    if (entry.live === undefined) return this.#fault(`${id}: ${type} ${version} of a conversation that was not named`)
    if (version <= entry.live) return this.#fault(`${id}: ${type} ${version} after ${entry.live}`)
    if (version > entry.live + 1) this.#fault(`${id}: ${type} ${version} passes over what follows ${entry.live}`)
    entry.live = version
    join(entry)
    if (message) this.#put(entry, message)
    if (participant) seat(entry, version, participant)
  }

  #sync({ conversation_id: id, from_version, version, messages, participants }: Frame): void {
    const entry = this.#entry(id)
    const known = Math.max(entry.held, entry.live ?? 0)
    if (from_version > known) this.#fault(`${id}: a sync from ${from_version}, though ${known} is the last that was told`)
    if (version < from_version) this.#fault(`${id}: a sync from ${from_version} back to ${version}`)
    for (const message of messages) this.#put(entry, message)
    for (const participant of participants) seat(entry, version, participant)
    if (from_version <= entry.held) entry.held = Math.max(entry.held, version)
    if (entry.live === undefined || from_version <= entry.live) entry.live = Math.max(entry.live ?? 0, version)
    join(entry)
  }

  /** Put in place by id, and only over an older version. */
  #put({ messages }: Entry, message: Message): void {
    const known = messages.get(message.id)
    if (known && known.seq !== message.seq) this.#fault(`${message.id} was at ${known.seq} and is at ${message.seq}`)
    if (!known || message.version > known.version) messages.set(message.id, message)
  }

  #entry(id: string): Entry {
    let entry = this.#entries.get(id)
    if (!entry) {
      entry = { held: 0, live: undefined, since: 0, messages: new Map(), people: new Map() }
      this.#entries.set(id, entry)
    }
    return entry
  }

  #fault(sentence: string): void {
    this.faults.push(sentence)
  }
}

/** Once the client holds all that was before this connection, it holds what the connection has told. */
function join(entry: Entry): void {
  if (entry.live !== undefined && entry.held >= entry.since) entry.held = Math.max(entry.held, entry.live)
}

/** What an older frame says of somebody does not come over what a newer one said. */
function seat({ people }: Entry, version: number, { user_id, is_active }: Participant): void {
  if ((people.get(user_id)?.version ?? 0) <= version) people.set(user_id, { version, is_active })
}
