import { CONVERSATION_TOLD_MAX, type ConversationChanged, type UserChanged } from '@parley/contracts'
import type { Kysely } from '@parley/pg-kit'
import type { Static } from '@sinclair/typebox'
import type { Tables } from '../db.ts'
import { changeTypeOf, toMessage } from '../message.ts'
import { getConversations, sharedConversation } from './conversations.ts'
import { messagesAtVersions } from './outbox.ts'
import { findPlaces, participantsAtVersions } from './participants.ts'

export type Change = Static<typeof ConversationChanged.payload>
export type PersonalChange = Static<typeof UserChanged.payload>

/** What is to be told of some versions of a conversation: to everyone in it, and to those for whom it came or went. */
export interface ChangesAt {
  conversation_id: string
  org_id: string
  changes: Change[]
  personal: { user_id: string; change: PersonalChange }[]
}

/**
 * Makes the frames of changes from the tables, in the transaction that made them or long after. A version that is no
 * longer there was passed by a later change, which is told as its own; whether somebody came or went is told as it is now.
 */
export async function changesAt(
  db: Kysely<Tables>,
  conversation_id: string,
  versions: readonly number[],
  user_ids: readonly string[]
): Promise<ChangesAt | undefined> {
  const found = await sharedConversation(db, conversation_id)
  if (!found) return undefined
  const { changed_version, ...conversation } = found
  const changes: Change[] = []
  const messages = await messagesAtVersions(db, { conversation_ids: versions.map(() => conversation_id), versions })
  for (const row of messages) changes.push({ type: changeTypeOf(row), conversation_id, version: row.version, message: toMessage(row) })
  const people = await participantsAtVersions(db, conversation_id, versions)
  for (const { participant, version, hasJustCome } of people) {
    const type = !participant.is_active ? 'participant_removed' : hasJustCome ? 'participant_added' : 'participant_updated'
    changes.push({ type, conversation_id, version, participant })
  }
  if (versions.includes(changed_version))
    changes.push({ type: 'conversation_updated', conversation_id, version: changed_version, conversation })
  changes.sort((a, b) => a.version - b.version)

  const { org_id, version } = conversation
  const personal: ChangesAt['personal'] = []
  const places = await findPlaces(db, conversation_id, user_ids)
  for (const { user_id, is_active, version: placed } of places.values()) {
    const isTold = conversation.participant_count <= CONVERSATION_TOLD_MAX
    const [seen] = is_active && isTold ? await getConversations(db, { user_id, org_id }, [conversation_id]) : []
    const change: PersonalChange = is_active
      ? { type: 'conversation_added', conversation_id, version, ...(seen && { conversation: seen }) }
      : { type: 'conversation_removed', conversation_id, version: placed }
    personal.push({ user_id, change })
  }
  return { conversation_id, org_id, changes, personal }
}
