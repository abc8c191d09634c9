import { randomUUID } from 'node:crypto'
import { AppError, type ErrorBody, type MyMessage } from '@parley/contracts'
import { type Database, sqlState, UNIQUE_VIOLATION } from '@parley/pg-kit'
import type { Tables } from '../db.ts'
import type { Outgoing } from '../message.ts'
import { toMyMessage } from '../message.ts'
import { readersOf } from '../queries/messages.ts'
import { findRefusals, findStanding, type Standing } from './insert-messages.ts'
import type { Publisher } from './publish.ts'
import { isStanding, refusalOf } from './refusals.ts'
import { isSameContent, isSameKey, mismatch } from './send.ts'
import { byConversation, framesOf, storeMessages } from './store-messages.ts'

/** Batches of 50 cost a fifth of the throughput; at saturation about 100 gather by themselves. */
const BATCH_MAX = 500
/** What may wait: about two seconds of work, after which nobody waits for the answer any more. */
const WAITING_MAX = 20_000

interface Waiting {
  readonly message: Outgoing
  readonly settle: (line: Uint8Array) => void
}

/**
 * The lane that messages go through into the database: one transaction at a time, and while one is in flight the next
 * batch gathers. So a batch grows with the load and nobody waits when there is none. Two lanes cost 14 % and reorder;
 * more stores are for availability. Measured: bench/README.md.
 */
export class Batch {
  readonly #db: Database<Tables>
  readonly #publisher: Publisher
  readonly #onBatch: (size: number) => void
  #waiting: Waiting[] = []
  #running: Promise<void> | undefined

  constructor(db: Database<Tables>, publisher: Publisher, onBatch: (size: number) => void) {
    this.#db = db
    this.#publisher = publisher
    this.#onBatch = onBatch
  }

  /** Stores a message. Resolves, once it is committed or refused, to its line of the reply; never rejects. */
  send(message: Outgoing): Promise<Uint8Array> {
    if (this.#waiting.length >= WAITING_MAX) return Promise.resolve(errorLine(new AppError('unavailable', 'too many messages are waiting')))
    return new Promise(settle => {
      this.#waiting.push({ message, settle })
      this.#running ??= this.#run()
    })
  }

  /** Resolves when nothing is in flight. */
  async idle(): Promise<void> {
    await this.#running
  }

  async #run(): Promise<void> {
    // What came with the same request is pushed in this turn: it belongs to this batch.
    await Promise.resolve()
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, BATCH_MAX)
      this.#onBatch(batch.length)
      await this.#store(batch)
    }
    this.#running = undefined
  }

  async #store(batch: Waiting[]): Promise<void> {
    try {
      await this.#storeTogether(fold(batch))
    } catch (error) {
      if (isAway(error) || batch.length === 1) return refuseAll(batch, error)
      // Something about one of them: each on its own, so that it fails alone.
      for (const folded of fold(batch)) {
        await this.#storeTogether([folded]).catch(alone => refuseAll([folded, ...folded.copies], alone))
      }
    }
  }

  /**
   * Duplicates are not looked for until the database says that there is one: on a unique violation nothing was stored,
   * so the standing ones are answered and the rest goes in again. Another store may be faster a second time.
   */
  async #storeTogether(batch: Folded[]): Promise<void> {
    let rest = batch
    for (let attempt = 1; rest.length > 0; attempt++) {
      try {
        return await this.#insert(rest)
      } catch (error) {
        if (sqlState(error) !== UNIQUE_VIOLATION || attempt === 5) throw error
        rest = await this.#answerStanding(rest)
      }
    }
  }

  async #insert(batch: Folded[]): Promise<void> {
    const id = randomUUID()
    const at = new Date().toISOString()
    const messages = batch.map(({ message }) => message)
    const published = this.#publisher.takeDone()
    const stored = await this.#db
      .query(db => storeMessages(db, messages, { id, at, published }))
      .catch(error => {
        this.#publisher.giveBack(published)
        throw error
      })

    const frames = framesOf(messages, stored, at)
    const lines = frames.map(frame => frame && lineOf(frame))
    // Committed: now, and not before, it is told.
    batch.forEach((folded, index) => {
      const line = lines[index]
      if (line) settle(folded, line, folded.copies.length > 0 ? asDuplicate(line) : line)
    })
    if (stored.placed.length > 0) this.#publisher.publishConversations(id, byConversation(messages, frames))

    const refused = batch.filter((_, index) => !lines[index])
    // Not a failure of the batch, which is committed: it must not go in again.
    if (refused.length > 0) await this.#refuse(refused).catch(error => refuseAll(refused, error))
  }

  async #answerStanding(batch: Folded[]): Promise<Folded[]> {
    const { standing, readers } = await this.#db.query(async db => {
      const standing = await findStanding(
        db,
        batch.map(({ message }) => message)
      )
      // Together for all: a question for each of a hundred repetitions at once, as after an outage, held up what was new.
      return { standing, readers: await readersOf(db, standing) }
    })
    const byPlace = new Map<number, Standing>(standing.map(row => [row.o, row]))
    return batch.filter((folded, index) => {
      const row = byPlace.get(index + 1)
      if (!row) return true
      const { message } = folded
      const line = isStanding(row, message)
        ? standingLine(toMyMessage(row, message.user_id, readers.get(row.conversation_id) ?? []))
        : errorLine(mismatch(message.client_message_id ?? ''))
      settle(folded, line, line)
      return false
    })
  }

  /** What stands already is told, whatever has become of its conversation since; only what is new is refused. */
  async #refuse(batch: Folded[]): Promise<void> {
    const refused = batch.some(({ message }) => message.client_message_id !== null) ? await this.#answerStanding(batch) : batch
    if (refused.length === 0) return
    const reasons = await this.#db.query(db =>
      findRefusals(
        db,
        refused.map(({ message }) => message)
      )
    )
    refused.forEach((folded, index) => {
      const line = errorLine(refusalOf(reasons[index], folded.message) ?? changedMeanwhile())
      settle(folded, line, line)
    })
  }
}

/** One message and the copies of it that came in the same batch. */
type Folded = Waiting & { copies: Waiting[] }

/** Two copies in one forming batch become one: the second would violate the unique key of the first. */
function fold(batch: readonly Waiting[]): Folded[] {
  const folded: Folded[] = []
  // By the client's id alone, which hardly ever comes twice: a key of all three would have to be put together for each message.
  const byClientId = new Map<string, Folded[]>()
  for (const { message, settle } of batch) {
    const { client_message_id } = message
    const alike = client_message_id === null ? undefined : byClientId.get(client_message_id)
    const first = alike?.find(one => isSameKey(one.message, message))
    if (first) {
      first.copies.push({ message, settle })
      continue
    }
    const entry: Folded = { message, settle, copies: [] }
    folded.push(entry)
    if (alike) alike.push(entry)
    else if (client_message_id !== null) byClientId.set(client_message_id, [entry])
  }
  return folded
}

function settle({ message, settle, copies }: Folded, line: Uint8Array, copyLine: Uint8Array): void {
  settle(line)
  for (const copy of copies) {
    copy.settle(isSameContent(copy.message, message) ? copyLine : errorLine(mismatch(message.client_message_id ?? '')))
  }
}

function refuseAll(batch: readonly Waiting[], error: unknown): void {
  const line = errorLine(error instanceof AppError ? error : new AppError('internal', 'the message could not be stored'))
  for (const { settle } of batch) settle(line)
}

export function errorLine(error: AppError): Uint8Array {
  return Buffer.from(`{"error":${JSON.stringify(error.toBody() satisfies ErrorBody)}}`)
}

const OPENING_BRACE = 0x7b

/** The reply's line of a message, `{"message":…}`: the end of its frame, so that its text is encoded once. */
function lineOf(frame: Buffer): Buffer {
  const line = Buffer.from(frame.subarray(frame.indexOf(',"message":')))
  line[0] = OPENING_BRACE
  return line
}

/** As one has it that was sent just now, and besides who has read it, if anyone has: to its sender, who asks, it tells the rest. */
function standingLine({ is_mine: _, is_read: __, read_by, ...message }: MyMessage): Buffer {
  return Buffer.from(`{"message":${JSON.stringify(read_by.length > 0 ? { ...message, read_by } : message)},"duplicate":true}`)
}

function asDuplicate(line: Buffer): Buffer {
  return Buffer.concat([line.subarray(0, -1), Buffer.from(',"duplicate":true}')])
}

const isAway = (error: unknown): boolean => error instanceof AppError && error.code === 'unavailable'

const changedMeanwhile = (): AppError => new AppError('unavailable', 'the conversation changed meanwhile; send again')
