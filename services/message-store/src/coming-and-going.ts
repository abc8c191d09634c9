import { AppError, PARTICIPANTS_MAX, type Participant } from '@parley/contracts'
import type { Kysely } from '@parley/pg-kit'
import { announceChanges, newBatch } from './announce.ts'
import { ConversationChange } from './conversation-change.ts'
import type { Tables } from './db.ts'
import { type ChangesAt, changesAt } from './queries/changes-at.ts'
import { enter, exit, findHeir, hasOwner, type Place, setRole } from './queries/participants.ts'
import { findActiveUsers, findUsers } from './queries/people.ts'
import type { Publisher } from './send/publish.ts'

/** What is to be told of a change once it is committed, under the name of its outbox row. */
export interface Telling {
  batch: string
  changes: ChangesAt
}

/**
 * Makes changes of one conversation in a transaction, with its row locked.
 *
 * @returns what came of it, and what is to be told where anything changed
 */
export async function changeConversation<T>(
  db: Kysely<Tables>,
  { conversation_id, actor_id }: { conversation_id: string; actor_id: string },
  work: (change: ConversationChange) => Promise<T>
): Promise<{ result: T; telling: Telling | undefined }> {
  const { batch } = newBatch()
  const change = await ConversationChange.begin(db, conversation_id, actor_id)
  const result = await work(change)
  if (change.versions.length === 0) return { result, telling: undefined }
  await change.finish(batch)
  const changes = await changesAt(db, conversation_id, change.versions, change.concerned)
  return { result, telling: changes && { batch, changes } }
}

/** Tells of a change that is committed. */
export function tellChange(publisher: Publisher, telling: Telling | undefined): void {
  if (telling) announceChanges(publisher, telling.batch, telling.changes)
}

/**
 * Lets a person in who is not in it, and writes down that they came.
 *
 * @throws AppError user_not_found where the organization has no such person; conversation_full
 */
export async function letIn(change: ConversationChange, user_id: string, role: Participant['role']): Promise<void> {
  const { db, conversation, at } = change
  const { by, whom } = await namesOf(change, user_id, findActiveUsers)
  // As many as a conversation may begin with: who makes it, and those whom they name.
  if (change.participant_count > PARTICIPANTS_MAX)
    throw new AppError('conversation_full', `a conversation has ${PARTICIPANTS_MAX + 1} people at most`)

  await enter(db, {
    conversation_id: conversation.id,
    org_id: conversation.org_id,
    user_id,
    role,
    version: change.nextVersion(),
    at,
    last_seq: change.last_seq,
    sharesHistory: conversation.history === 'all'
  })
  change.count(user_id, 1)
  await change.tell(`${by} added ${whom}`, { event: 'participant_added', user_id, actor_id: change.actor_id, display_name: whom })
}

/** Lets a person out who is in it, and writes down that they left or were removed; where they were the last owner, another follows. */
export async function letOut(change: ConversationChange, { user_id, role }: Pick<Place, 'user_id' | 'role'>): Promise<void> {
  const { db, conversation, actor_id } = change
  const { by, whom } = await namesOf(change, user_id, findUsers)
  await exit(db, { conversation_id: conversation.id, user_id, version: change.nextVersion(), last_seq: change.last_seq })
  change.count(user_id, -1)
  if (user_id === actor_id) await change.tell(`${whom} left`, { event: 'participant_left', user_id, actor_id, display_name: whom })
  else await change.tell(`${by} removed ${whom}`, { event: 'participant_removed', user_id, actor_id, display_name: whom })
  if (role === 'owner') await succeed(change, user_id)
  if (change.participant_count === 0) await archive(change)
}

/** Where the last owner has gone, the next one follows. */
async function succeed(change: ConversationChange, user_id: string): Promise<void> {
  const { db, conversation } = change
  if (await hasOwner(db, conversation.id, { beside: user_id })) return
  const heir = await findHeir(db, conversation.id)
  if (heir) await setRole(db, { conversation_id: conversation.id, user_id: heir, role: 'owner', version: change.nextVersion() })
}

/** Nobody is left to write or to come back: it is kept as it is. */
async function archive(change: ConversationChange): Promise<void> {
  if (change.conversation.status === 'archived') return
  change.set({ status: 'archived' })
  await change.tell('The conversation was archived', { event: 'status_changed', status: 'archived', actor_id: change.actor_id })
}

/** @throws AppError user_not_found, where the organization has no such person, or none who may come */
async function namesOf(
  { db, conversation, actor_id }: ConversationChange,
  user_id: string,
  find: typeof findUsers
): Promise<{ by: string; whom: string }> {
  const users = new Map((await find(db, conversation.org_id, [actor_id, user_id])).map(user => [user.id, user.display_name]))
  const whom = users.get(user_id)
  if (whom === undefined) throw new AppError('user_not_found', `no person ${user_id}`)
  return { by: users.get(actor_id) ?? '', whom }
}
