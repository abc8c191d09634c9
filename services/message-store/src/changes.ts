import type { Changes, Participant, SharedConversation } from '@parley/contracts'
import type { Kysely } from '@parley/pg-kit'
import type { Tables } from './db.ts'
import { type MessageRow, toMessage } from './message.ts'
import { changedConversations, changedMessages, changedParticipants } from './queries/conversations.ts'

export const CHANGES_MAX = 500

export interface Since {
  conversation_id: string
  since: number
  /** The conversation's version in the same snapshot. */
  version: number
}

/**
 * What changed in conversations since a version each: three queries, however many; at most `limit` messages and about
 * `maxBytes` in all. Where it does not fit, the last conversation is cut at a version and says so, and those after it are
 * left out. Needs a snapshot, or a change between two queries would be passed over.
 *
 * @returns `complete` false where something was cut or left out
 */
export async function collectChanges(
  db: Kysely<Tables>,
  wanted: readonly Since[],
  { limit, maxBytes }: { limit: number; maxBytes: number }
): Promise<{ changes: Changes[]; complete: boolean }> {
  if (wanted.length === 0) return { changes: [], complete: true }
  const since = new Map(wanted.map(w => [w.conversation_id, w.since]))
  const messages = groupBy(await changedMessages(db, since, limit + 1))
  const participants = groupBy(await changedParticipants(db, since, limit))
  const shared = new Map((await changedConversations(db, since)).map(c => [c.id, c]))

  const changes: Changes[] = []
  let count = 0
  let bytes = 0
  for (const { conversation_id, since, version } of wanted) {
    if (count >= limit || bytes >= maxBytes) return { changes, complete: false }
    const rows = messages.get(conversation_id) ?? []
    let taken = 0
    while (taken < rows.length && count < limit && bytes < maxBytes) {
      bytes += Buffer.byteLength(rows[taken]!.content) + MESSAGE_OVERHEAD_BYTES
      taken++
      count++
    }
    const isCut = taken < rows.length
    const upTo = isCut ? rows[taken - 1]!.version : version
    changes.push(
      toChanges(
        { conversation_id, since, version: upTo, isCut },
        rows.slice(0, taken),
        participants.get(conversation_id),
        shared.get(conversation_id)
      )
    )
    if (isCut) return { changes, complete: false }
  }
  return { changes, complete: true }
}

/** What a message weighs beside its content, as JSON. */
const MESSAGE_OVERHEAD_BYTES = 900

function toChanges(
  { conversation_id, since, version, isCut }: { conversation_id: string; since: number; version: number; isCut: boolean },
  rows: readonly MessageRow[],
  participants: readonly (Participant & { conversation_id: string; version: number })[] = [],
  conversation: SharedConversation | undefined
): Changes {
  return {
    conversation_id,
    from_version: since,
    version,
    has_more: isCut,
    messages: rows.map(toMessage).sort((a, b) => a.version - b.version),
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
