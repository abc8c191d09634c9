import { type Changes, type Message, type MyMessage, PARTICIPANTS_MAX, type Participant, type SharedConversation } from '@parley/contracts'
import type { Kysely } from '@parley/pg-kit'
import type { Tables } from './db.ts'
import { type MessageRow, toMessage, toMyMessage } from './message.ts'
import { changedConversations, changedMessages, changedParticipants, type Since } from './queries/changed.ts'
import { readersOf } from './queries/messages.ts'

export const CHANGES_MAX = 500
/** Messages, people and conversations of one answer together. */
export const OBJECTS_MAX = 500

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
 * `maxBytes` in all, `OBJECTS_MAX` objects but for those of one version. Where it does not fit, the last conversation is cut at a version and says so, and those after it are
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
): Promise<Collected<Message>> {
  if (wanted.length === 0) return NOTHING
  return gather(db, wanted, await changedMessages(db, wanted, bounds.limit + 1, user_id), toMessage, bounds)
}

/** As `collectChanges`, with each message as one person sees it. */
export async function collectMyChanges(
  db: Kysely<Tables>,
  wanted: readonly Since[],
  { user_id, ...bounds }: Bounds & { user_id: string }
): Promise<Collected<MyMessage>> {
  if (wanted.length === 0) return NOTHING
  const rows = await changedMessages(db, wanted, bounds.limit + 1, user_id)
  const readers = await readersOf(db, rows)
  return gather(db, wanted, rows, row => toMyMessage(row, user_id, readers.get(row.conversation_id) ?? []), bounds)
}

async function gather<M extends Message>(
  db: Kysely<Tables>,
  wanted: readonly Since[],
  rowsOfAll: readonly MessageRow[],
  tell: (row: MessageRow) => M,
  { limit, maxBytes }: Bounds
): Promise<Collected<M>> {
  const messages = groupBy(rowsOfAll)
  const people = await changedParticipants(db, wanted, CHANGED_PARTICIPANTS_MAX)
  const participants = groupBy(people)
  const lastPerson = people.length === CHANGED_PARTICIPANTS_MAX ? people.at(-1) : undefined
  const shared = new Map((await changedConversations(db, wanted)).map(c => [c.id, c]))

  const changes: Told<M>[] = []
  let count = 0
  let bytes = 0
  let objects = 0
  for (const { conversation_id, since, version } of wanted) {
    if (count >= limit || bytes >= maxBytes) return { changes, objects, complete: false }
    const isLackingPeople = conversation_id === lastPerson?.conversation_id
    const conversation = shared.get(conversation_id)
    const all = [...(messages.get(conversation_id) ?? []), ...(participants.get(conversation_id) ?? [])]
    const room = OBJECTS_MAX - objects - (conversation ? 1 : 0)
    const fitting = endWithin(all, Math.max(1, room))
    // Alone it is more than one answer: what is up to a version now.
    const end = Math.min(version, isLackingPeople ? lastPerson.version : version, fitting)
    const isWithin = (object: { version: number }) => object.version <= end
    if (changes.length > 0 && (isLackingPeople || all.filter(isWithin).length > room)) return { changes, objects, complete: false }
    const rows = (messages.get(conversation_id) ?? []).filter(isWithin)
    const changed = (participants.get(conversation_id) ?? []).filter(isWithin)
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
    const told = toChanges({ conversation_id, since, version: upTo, isCut }, taken, changed, conversation)
    changes.push(told)
    objects += taken.length + told.participants.length + (conversation ? 1 : 0)
    // Of the conversations after it no people were read.
    if (isCut || isLackingPeople) return { changes, objects, complete: false }
  }
  return { changes, objects, complete: true }
}

/** The version up to which so many objects go; those of one version are not parted. */
function endWithin(objects: readonly { version: number }[], room: number): number {
  if (objects.length <= room) return Number.POSITIVE_INFINITY
  return objects.map(({ version }) => version).sort((a, b) => a - b)[room - 1]!
}

/** As JSON: a content of quotation marks is twice as long there, and metadata may be longer than any content. */
const bytesOf = (value: object): number => Buffer.byteLength(JSON.stringify(value))

type Told<M extends Message> = Omit<Changes, 'messages'> & { messages: M[] }

/** `objects`: how many there are in all. */
interface Collected<M extends Message> {
  changes: Told<M>[]
  objects: number
  complete: boolean
}

const NOTHING = { changes: [], objects: 0, complete: true }

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
