import { AddParticipant, AppError, ChangeParticipant, PARTICIPANTS_MAX, type Participant, RemoveParticipant } from '@parley/contracts'
import { announceChanges, newBatch } from '../announce.ts'
import { ConversationChange } from '../conversation-change.ts'
import { changesAt } from '../queries/changes-at.ts'
import { findMembership } from '../queries/membership.ts'
import { enter, exit, findHeir, findPlaces, getParticipant, hasOwner, type Place, setRole } from '../queries/participants.ts'
import { findUsers } from '../queries/people.ts'
import { requireManager, requireNotDirect, requireOwnerFor, requirePlace } from '../rules.ts'
import type { Store } from '../store.ts'

type Caller = { user_id: string; org_id: string }
type Role = Participant['role']

/** Whom a change is about, where they stand, and where the caller does: undefined for who was never in. */
interface Subject {
  user_id: string
  mine: Place | undefined
  theirs: Place | undefined
}

/** Who comes into a conversation, what they may do there, and who leaves. */
export function participants(app: Store): void {
  const { bus } = app

  bus.serve(AddParticipant, ({ actor, role = 'member', ...about }) => change(app, actor, about, (c, subject) => add(c, subject, role)))

  bus.serve(ChangeParticipant, ({ actor, role, ...about }) => change(app, actor, about, (c, subject) => changeRole(c, subject, role)))

  bus.serve(RemoveParticipant, ({ actor, ...about }) => change(app, actor, about, remove))
}

/** Makes changes in one transaction, with the conversation's row locked, and tells of them once they are committed. */
async function change<T>(
  { people, publisher }: Store,
  actor: Caller,
  { conversation_id, user_id: given }: { conversation_id: string; user_id: string },
  work: (change: ConversationChange, subject: Subject) => Promise<T>
): Promise<T> {
  const user_id = given.toLowerCase()
  const { batch } = newBatch()
  const { result, told } = await people.asUser(actor, async db => {
    const membership = await findMembership(db, actor, conversation_id)
    if (!membership) throw new AppError('conversation_not_found', `no conversation ${conversation_id}`)
    // Before the lock, so that a stranger holds nobody up; who leaves twice is no stranger.
    if (membership.last_read_seq === null && user_id !== actor.user_id) requirePlace(undefined)
    const change = await ConversationChange.begin(db, membership.id, actor.user_id)
    // Read behind the lock: what others changed meanwhile is seen here.
    const places = await findPlaces(db, membership.id, [actor.user_id, user_id])
    const result = await work(change, { user_id, mine: places.get(actor.user_id), theirs: places.get(user_id) })
    if (change.versions.length === 0) return { result, told: undefined }
    await change.finish(batch)
    return { result, told: await changesAt(db, membership.id, change.versions, change.concerned) }
  })
  if (told) announceChanges(publisher, batch, told)
  return result
}

async function add(change: ConversationChange, { user_id, mine, theirs }: Subject, role: Role) {
  const { db, conversation, at } = change
  const { role: myRole } = requirePlace(mine)
  const isIn = theirs?.is_active === true
  if (!isIn) requireNotDirect(conversation)
  if (conversation.type !== 'direct') requireManager(myRole)
  if (isIn) return { participant: await getParticipant(db, conversation.id, user_id), added: false }
  if (role === 'owner') requireOwnerFor(myRole, 'make an owner')
  const { by, whom } = await namesOf(change, user_id)
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
  return { participant: await getParticipant(db, conversation.id, user_id), added: true }
}

async function changeRole(change: ConversationChange, { user_id, mine, theirs }: Subject, role: Role): Promise<Participant> {
  const { db, conversation } = change
  const { role: myRole } = requirePlace(mine)
  requireNotDirect(conversation)
  requireManager(myRole)
  if (!theirs?.is_active) throw new AppError('user_not_found', `${user_id} is not in this conversation`)
  if (theirs.role !== role) {
    if (role === 'owner' || theirs.role === 'owner') requireOwnerFor(myRole, 'make or unmake an owner')
    if (theirs.role === 'owner' && !(await hasOwner(db, conversation.id, { beside: user_id })))
      throw new AppError('forbidden', 'a conversation has an owner: make another one first')
    await setRole(db, { conversation_id: conversation.id, user_id, role, version: change.nextVersion() })
  }
  return getParticipant(db, conversation.id, user_id)
}

async function remove(change: ConversationChange, { user_id, mine, theirs }: Subject): Promise<{ removed: boolean }> {
  const { db, conversation, actor_id } = change
  const isLeaving = user_id === actor_id
  if (isLeaving && theirs && !theirs.is_active) return { removed: false }
  const { role: myRole } = requirePlace(mine)
  requireNotDirect(conversation)
  if (!isLeaving) requireManager(myRole)
  if (!theirs) throw new AppError('user_not_found', `${user_id} was never in this conversation`)
  if (!theirs.is_active) return { removed: false }
  if (!isLeaving && theirs.role === 'owner') requireOwnerFor(myRole, 'remove an owner')

  const { by, whom } = await namesOf(change, user_id)
  await exit(db, { conversation_id: conversation.id, user_id, version: change.nextVersion(), last_seq: change.last_seq })
  change.count(user_id, -1)
  if (isLeaving) await change.tell(`${whom} left`, { event: 'participant_left', user_id, actor_id, display_name: whom })
  else await change.tell(`${by} removed ${whom}`, { event: 'participant_removed', user_id, actor_id, display_name: whom })
  if (theirs.role === 'owner') await succeed(change, user_id)
  if (change.participant_count === 0) await archive(change)
  return { removed: true }
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

/** @throws AppError user_not_found, where the organization has no such person */
async function namesOf({ db, conversation, actor_id }: ConversationChange, user_id: string): Promise<{ by: string; whom: string }> {
  const users = new Map((await findUsers(db, conversation.org_id, [actor_id, user_id])).map(user => [user.id, user.display_name]))
  const whom = users.get(user_id)
  if (whom === undefined) throw new AppError('user_not_found', `no person ${user_id}`)
  return { by: users.get(actor_id) ?? '', whom }
}
