import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Message } from '@parley/contracts'
import { type Person, type Platform, until } from '@parley/test-kit'
import type { Test } from 'tap'
import type { Reader } from './reader.ts'

export interface Acked {
  id: string
  seq: number
  content: string
  sender_id: string
}

interface Row {
  id: string
  seq: number
  version: number
  sender_id: string
  client_message_id: string | null
  content: string
  is_deleted: boolean
}

/** Every send of a test by its client_message_id: what was acknowledged, and what was begun. */
export class History {
  readonly acked = new Map<string, Acked>()
  readonly begun = new Map<string, string>()
  /** Answers that were neither an acknowledgement nor a refusal that may be tried again. */
  readonly surprises: string[] = []
  retries = 0

  /** Sends until it is acknowledged, by the next gateway each time, always with the same id. */
  async send(platform: Platform, who: Person, conversation_id: string, { gateway = 0, forMs = 30_000 } = {}): Promise<Acked> {
    const client_message_id = randomUUID()
    const content = `by ${who.name}: ${client_message_id}`
    this.begun.set(client_message_id, content)
    const deadline = Date.now() + forMs
    for (let attempt = 0; ; attempt++) {
      const answer = await platform
        .client(who, (gateway + attempt) % platform.urls.length)
        .post<Message>(`/conversations/${conversation_id}/messages`, { content, client_message_id })
        .catch(() => undefined)
      if (answer && (answer.status === 201 || answer.status === 200)) {
        const { id, seq, sender_id } = answer.body
        const acked = { id, seq, sender_id, content }
        this.acked.set(client_message_id, acked)
        return acked
      }
      if (answer && answer.status !== 503) this.surprises.push(`${answer.status} ${JSON.stringify(answer.body)}`)
      if (Date.now() > deadline) throw new Error(`not acknowledged within ${forMs} ms: ${JSON.stringify(answer?.body)}`)
      this.retries++
      await delay(50)
    }
  }
}

export function rowsOf(platform: Platform, conversation_id: string): Promise<Row[]> {
  return platform.database.query<Row & Record<string, unknown>>(
    `select id, seq::int as seq, version::int as version, sender_id, client_message_id, content, deleted_at is not null as is_deleted
     from messaging.messages where conversation_id = $1 order by seq`,
    [conversation_id]
  )
}

async function versionOf(platform: Platform, conversation_id: string): Promise<number> {
  const [row] = await platform.database.query<{ version: number }>(
    'select version::int as version from messaging.conversations where id = $1',
    [conversation_id]
  )
  return row!.version
}

/**
 * Holds what was promised: every acknowledged send is in the history once, at the place it was told; nothing is there
 * that nobody sent; places have no holes; and every reader, once in step, holds exactly what the database has.
 */
export async function isWhole(
  t: Test,
  platform: Platform,
  conversation_id: string,
  history: History,
  readers: readonly Reader[]
): Promise<void> {
  const rows = await rowsOf(platform, conversation_id)
  t.same(
    rows.map(({ seq }) => seq),
    rows.map((_, index) => index + 1),
    'places have no holes'
  )
  const byClientId = new Map<string, Row>()
  for (const row of rows) {
    const key = row.client_message_id ?? row.id
    if (byClientId.has(key)) t.fail(`${key} is there twice`)
    byClientId.set(key, row)
  }
  const lost = [...history.acked].filter(([key, { id, seq }]) => byClientId.get(key)?.id !== id || byClientId.get(key)?.seq !== seq)
  t.same(lost, [], `none of ${history.acked.size} acknowledged sends is lost or elsewhere`)
  t.same(
    [...byClientId.keys()].filter(key => !history.begun.has(key)),
    [],
    'nothing is there that nobody sent'
  )
  t.same(history.surprises, [], 'every other answer said that it may be tried again')

  const version = await versionOf(platform, conversation_id)
  const shown = rows.map(row => [row.seq, row.id, row.version, row.is_deleted ? '' : row.content, row.is_deleted])
  for (const [index, reader] of readers.entries()) {
    await until(() => reader.isInStep && reader.ledger.held(conversation_id) >= version, {
      timeoutMs: 45_000,
      what: `reader ${index} holds version ${version}`
    }).catch(error => t.fail(`${error.message}, it holds ${reader.ledger.held(conversation_id)}`))
    const held = reader.ledger.messages(conversation_id).map(m => [m.seq, m.id, m.version, m.content, m.is_deleted])
    t.same(held, shown, `reader ${index} holds exactly what the database has`)
    t.same(reader.ledger.faults, [], `reader ${index} was told in order`)
  }
}
