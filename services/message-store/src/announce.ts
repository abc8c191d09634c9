import { randomUUID } from 'node:crypto'
import { type ChangeType, type Conversation, ConversationChanged, type Message, UserChanged, UserMoment } from '@parley/contracts'
import { changeFrame } from './message.ts'
import type { ChangesAt } from './queries/changes-at.ts'
import { conversationsOf } from './queries/unread.ts'
import type { Publisher } from './send/publish.ts'
import type { Store } from './store.ts'

const encoder = new TextEncoder()

/** Tells a committed change of a message to everyone in its conversation. `batch` is its outbox row. */
export function announceChange(publisher: Publisher, batch: string, type: ChangeType, message: Message): void {
  const { conversation_id, version } = message
  const frame = changeFrame(type, conversation_id, version, JSON.stringify(message))
  publisher.publish(batch, [[ConversationChanged.subject({ conversation_id }), encoder.encode(frame)]])
}

/**
 * Tells changes of a conversation to everyone in it, and those for whom it came or went. They first: where what is told to
 * all arrives, whoever was removed is known to be, and since versions are given out without holes, so is it before
 * anything that another store publishes of later.
 */
export function announceChanges(publisher: Publisher, batch: string, { conversation_id, org_id, changes, personal }: ChangesAt): void {
  const messages: [subject: string, data: Uint8Array][] = personal.map(({ user_id, change }) => [
    UserChanged.subject({ org_id, user_id }),
    encoder.encode(JSON.stringify(change))
  ])
  const lines = changes.map(change => JSON.stringify(change)).join('\n')
  if (lines !== '') messages.push([ConversationChanged.subject({ conversation_id }), encoder.encode(lines)])
  publisher.publish(batch, messages)
}

export interface Added {
  user_id: string
  /** As this person sees it; absent where the conversation is too large to be told to each of its people. */
  conversation?: Conversation
}

/**
 * Tells people that they are in a conversation now, each as they see it. Told whole to each of a thousand people it would
 * be 40 MB, and stop everything else for seconds.
 */
export function announceAdded(
  publisher: Publisher,
  batch: string,
  { id, org_id, version }: Pick<Conversation, 'id' | 'org_id' | 'version'>,
  added: readonly Added[]
): void {
  publisher.publish(
    batch,
    added.map(({ user_id, conversation }) => {
      const event = { type: 'conversation_added', conversation_id: id, version, ...(conversation && { conversation }) }
      return [UserChanged.subject({ org_id, user_id }), encoder.encode(JSON.stringify(event))]
    })
  )
}

/**
 * Tells people's devices their unread counts, all but the connection that caused it. Not history: it may be lost, the
 * counts are in every later answer. Runs after the reply, which does not wait for it.
 */
export async function announceUnread(
  { bus, store }: Pick<Store, 'bus' | 'store'>,
  people: readonly { user_id: string; org_id: string }[],
  conversation_id: string,
  origin?: string
): Promise<void> {
  const totals = new Map<string, { user_id: string; org_id: string; unread_count: number; unread_total: number }>()
  for (const { user_id, org_id, id, unread_count } of await store.query(db => conversationsOf(db, people))) {
    const counts = totals.get(org_id + user_id) ?? { user_id, org_id, unread_count: 0, unread_total: 0 }
    if (id === conversation_id) counts.unread_count = unread_count
    counts.unread_total += unread_count
    totals.set(org_id + user_id, counts)
  }
  for (const { user_id, org_id, ...counts } of totals.values()) {
    bus.publish(UserMoment, { org_id, user_id }, { type: 'unread', conversation_id, ...counts }, { origin })
  }
}

/** The id of an outbox row, made before the transaction so that what it leaves can be named after it. */
export const newBatch = (): { batch: string; at: string } => ({ batch: randomUUID(), at: new Date().toISOString() })
