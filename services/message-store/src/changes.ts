import { type Changes, type Message, type MyChanges, PARTICIPANTS_MAX, type Participant, type SharedConversation } from '@parley/contracts'
import type { Kysely } from '@parley/pg-kit'
import type { Tables } from './db.ts'
import { type MessageRow, toMessage, toMyMessage } from './message.ts'
import { changedConversations, changedMessages, changedParticipants, type Since } from './queries/changed.ts'
import { readersOf } from './queries/search.ts'

export const CHANGES_MAX = 500

/** Who is in at the beginning has one version, and fits; those who came and went later have one each, where it may be cut. */
const CHANGED_PARTICIPANTS_MAX = 2 * PARTICIPANTS_MAX

export interface Bounds {
  /** Of messages. */
  limit: number
  /** About. */
  maxBytes: number
}

/**
 * What changed in conversations since a version each: four queries at most, however many; at most `limit` messages and about
 * `maxBytes` in all. Where it does not fit, the last conversation is cut at a version and says so, and those after it are
 * left out. Needs a snapshot, or a change between two queries would be passed over.
 *
 * @param wanted with the version that each conversation has in the same snapshot, or an earlier one to stop at
 * @param user_id whose answer it is: what was said while they were away is left out. null for the service itself
 * @returns `complete` false where something was cut or left out
 */
export async function collectChanges(
  db: Kysely<Tables>,
  wanted: readonly Since[],
  { user_id, ...bounds }: Bounds & { user_id: string | null }
): Promise<{ changes: Changes[]; complete: boolean }> {
  if (wanted.length === 0) return { changes: [], complete: true }
  return gather(db, wanted, await changedMessages(db, wanted, bounds.limit + 1, user_id), toMessage, bounds)
}

/** As `collectChanges`, with each message as one person sees it. */
export async function collectMyChanges(
  db: Kysely<Tables>,
  wanted: readonly Since[],
  { user_id, ...bounds }: Bounds & { user_id: string }
): Promise<{ changes: MyChanges[]; complete: boolean }> {
  if (wanted.length === 0) return { changes: [], complete: true }
  const rows = await changedMessages(db, wanted, bounds.limit + 1, user_id)
  const readers = groupBy(rows.length > 0 ? await readersOf(db, oldestOf(rows)) : [])
  return gather(db, wanted, rows, row => toMyMessage(row, user_id, readers.get(row.conversation_id) ?? []), bounds)
}

async function gather<M extends Message>(
  db: Kysely<Tables>,
  wanted: readonly Since[],
  changed: readonly MessageRow[],
  tell: (row: MessageRow) => M,
  { limit, maxBytes }: Bounds
): Promise<{ changes: Told<M>[]; complete: boolean }> {
  const messages = groupBy(changed)
  const people = await changedParticipants(db, wanted, CHANGED_PARTICIPANTS_MAX)
  const participants = groupBy(people)
  const lastPerson = people.length === CHANGED_PARTICIPANTS_MAX ? people.at(-1) : undefined
  const shared = new Map((await changedConversations(db, wanted)).map(c => [c.id, c]))

  const changes: Told<M>[] = []
  let count = 0
  let bytes = 0
  for (const { conversation_id, since, version } of wanted) {
    if (count >= limit || bytes >= maxBytes) return { changes, complete: false }
    const isLackingPeople = conversation_id === lastPerson?.conversation_id
    // Alone it is more than one answer: those up to a version now.
    if (isLackingPeople && changes.length > 0) return { changes, complete: false }
    const end = isLackingPeople ? lastPerson.version : version
    const rows = (messages.get(conversation_id) ?? []).filter(row => row.version <= end)
    const changed = participants.get(conversation_id) ?? []
    bytes += bytesOf(changed)
    const taken: M[] = []
    // One at least, or whoever asks again with what they then hold would ask the same for ever.
    while (taken.length < rows.length && count < limit && (taken.length === 0 || bytes < maxBytes)) {
      const message = tell(rows[taken.length]!)
      bytes += bytesOf(message)
      taken.push(message)
      count++
    }
    const isCut = taken.length < rows.length || end < version
    const upTo = taken.length < rows.length ? taken.at(-1)!.version : end
    changes.push(toChanges({ conversation_id, since, version: upTo, isCut }, taken, changed, shared.get(conversation_id)))
    if (isCut) return { changes, complete: false }
  }
  return { changes, complete: true }
}

/** As JSON: a content of quotation marks is twice as long there, and metadata may be longer than any content. */
const bytesOf = (value: object): number => Buffer.byteLength(JSON.stringify(value))

function oldestOf(rows: readonly MessageRow[]): { conversation_id: string; seq: number }[] {
  const oldest = new Map<string, number>()
  for (const { conversation_id, seq } of rows) oldest.set(conversation_id, Math.min(seq, oldest.get(conversation_id) ?? seq))
  return Array.from(oldest, ([conversation_id, seq]) => ({ conversation_id, seq }))
}

type Told<M extends Message> = Omit<Changes, 'messages'> & { messages: M[] }

function toChanges<M extends Message>(
  { conversation_id, since, version, isCut }: { conversation_id: string; since: number; version: number; isCut: boolean },
  messages: M[],
  participants: readonly (Participant & { conversation_id: string; version: number })[],
  conversation: SharedConversation | undefined
): Told<M> {
  return {
    conversation_id,
    from_version: since,
    version,
    has_more: isCut,
    messages,
    participants: participants.filter(p => p.version <= version).map(({ conversation_id: _, version: __, ...participant }) => participant),
    ...(conversation && { conversation })
  }
}

function groupBy<R extends { conversation_id: string }>(rows: readonly R[]): Map<string, R[]> {
  const groups = new Map<string, R[]>()
  for (const row of rows) {
    const group = groups.get(row.conversation_id)
    if (group) group.push(row)
    else groups.set(row.conversation_id, [row])
  }
  return groups
}
