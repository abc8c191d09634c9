import { AddParticipant, AppError, ChangeParticipant, type Participant, RemoveParticipant } from '@parley/contracts'
import { changeConversation, letIn, letOut, tellChange } from '../coming-and-going.ts'
import type { ConversationChange } from '../conversation-change.ts'
import { findMembership } from '../queries/membership.ts'
import { findPlaces, getParticipant, hasOwner, type Place, setRole } from '../queries/participants.ts'
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
  { conversation_id, user_id }: { conversation_id: string; user_id: string },
  work: (change: ConversationChange, subject: Subject) => Promise<T>
): Promise<T> {
  const { result, telling } = await people.asUser(actor, async db => {
    const membership = await findMembership(db, actor, conversation_id)
    if (!membership) throw new AppError('conversation_not_found', `no conversation ${conversation_id}`)
    // Before the lock, so that a stranger holds nobody up; who leaves twice is no stranger.
    if (membership.last_read_seq === null && user_id !== actor.user_id) requirePlace(undefined)
    return changeConversation(db, { conversation_id: membership.id, actor_id: actor.user_id }, async change => {
      // Read behind the lock: what others changed meanwhile is seen here.
      const places = await findPlaces(db, membership.id, [actor.user_id, user_id])
      return work(change, { user_id, mine: places.get(actor.user_id), theirs: places.get(user_id) })
    })
  })
  tellChange(publisher, telling)
  return result
}

async function add(change: ConversationChange, { user_id, mine, theirs }: Subject, role: Role) {
  const { db, conversation } = change
  const { role: myRole } = requirePlace(mine)
  const isIn = theirs?.is_active === true
  if (!isIn) requireNotDirect(conversation)
  if (conversation.type !== 'direct') requireManager(myRole)
  if (isIn) return { participant: await getParticipant(db, conversation.id, user_id), added: false }
  if (role === 'owner') requireOwnerFor(myRole, 'make an owner')
  await letIn(change, user_id, role)
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
  const { conversation, actor_id } = change
  const isLeaving = user_id === actor_id
  if (isLeaving && theirs && !theirs.is_active) return { removed: false }
  const { role: myRole } = requirePlace(mine)
  requireNotDirect(conversation)
  if (!isLeaving) requireManager(myRole)
  if (!theirs) throw new AppError('user_not_found', `${user_id} was never in this conversation`)
  if (!theirs.is_active) return { removed: false }
  if (!isLeaving && theirs.role === 'owner') requireOwnerFor(myRole, 'remove an owner')

  await letOut(change, theirs)
  return { removed: true }
}
