import { hash } from 'node:crypto'
import { once } from 'node:events'
import { createWriteStream, type WriteStream } from 'node:fs'
import type { Message } from '@parley/contracts'

/**
 * What clients do (`invoke`, then one of `ok`, `fail`, `info`), what readers are told (`ok`), and what the harness does
 * (`fault`). `info`: nobody knows whether it took effect.
 */
export type Op =
  | 'send'
  | 'edit'
  | 'delete'
  | 'mark_read'
  | 'add'
  | 'remove'
  | 'read'
  | 'connect'
  | 'ready'
  | 'frame'
  | 'sync'
  | 'resumed'
  | 'hole'
  | 'added'
  | 'removed'
  | 'shows'
  | 'leak'
  | 'fault'

/** A message as somebody saw it: id, seq, version, hash of what it says, whether it is deleted. */
export type Seen = [id: string, seq: number, version: number, hash: string, isDeleted: boolean]

export interface Line {
  /** Place in the history. One process records, so a line stands before whatever happened after it. */
  n: number
  /** Milliseconds on one monotonic clock. */
  t: number
  /** Who: a sender (s1), a reader (r1), the harness. */
  proc: string
  type: 'invoke' | 'ok' | 'fail' | 'info'
  op: Op
  /** The `invoke` that this is the outcome of. */
  of?: number
  conv?: string
  /** Of an operation, the same for all its attempts: the client_message_id of a send. */
  key?: string
  /** The message that is edited or deleted, the person who is added or removed. */
  target?: string
  value?: string
  seq?: number
  version?: number
  /** Of a sync: the version it begins at. */
  from?: number
  id?: string
  hash?: string
  messages?: Seen[]
  /** Of `ready`: where each conversation is. */
  heads?: Record<string, number>
  complete?: boolean
  code?: string
}

export type Told = Omit<Line, 'n' | 't'>

/** Somebody who acts in the history. */
export interface Actor {
  proc: string
  user_id: string
  org_id: string
}

/** What a checker has to know beside the lines. */
export interface Cast {
  actors: Actor[]
  conversations: { id: string; org_id: string; members: string[] }[]
  /** By organization: a text that stands in everything that is said in it. */
  marks: Record<string, string>
}

/** Writes each line to a file as it happens, so that what is left of a broken run can be read, and keeps it for the checker. */
export class History {
  readonly lines: Line[] = []
  readonly #startedAt = performance.now()
  readonly #file: WriteStream | undefined

  constructor(file?: string) {
    this.#file = file === undefined ? undefined : createWriteStream(file)
  }

  now(): number {
    return Math.round((performance.now() - this.#startedAt) * 10) / 10
  }

  add(told: Told): Line {
    const line: Line = { n: this.lines.length, t: this.now(), ...told }
    this.lines.push(line)
    this.#file?.write(`${JSON.stringify(line)}\n`)
    return line
  }

  async close(): Promise<void> {
    if (!this.#file) return
    this.#file.end()
    await once(this.#file, 'close')
  }
}

/** What everyone must agree on who sees a message at one version. */
export function hashOf(m: {
  id: string
  seq: number
  sender_id: string
  client_message_id: string | null
  content: string
  is_deleted: boolean
}): string {
  return hash(
    'sha1',
    JSON.stringify([m.id, m.seq, m.sender_id, m.client_message_id, m.is_deleted ? '' : m.content, m.is_deleted]),
    'base64'
  ).slice(0, 12)
}

export const seen = (m: Message): Seen => [m.id, m.seq, m.version, hashOf(m), m.is_deleted]
