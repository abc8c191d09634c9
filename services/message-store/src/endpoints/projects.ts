import { AppError, cleanName, cleanText, DeleteProjectMember, NAME_MAX, PutProject, PutProjectMember } from '@parley/contracts'
import type { Kysely } from '@parley/pg-kit'
import { changeConversation, letIn, letOut, type Telling, tellChange } from '../coming-and-going.ts'
import type { ConversationChange } from '../conversation-change.ts'
import type { Tables } from '../db.ts'
import { findPlaces } from '../queries/participants.ts'
import { findActiveUsers, findUsers } from '../queries/people.ts'
import { deleteMember, findProject, insertMember, isMember, lockProject, putProject, unsettledConversations } from '../queries/projects.ts'
import { requireService } from '../rules.ts'
import type { Store } from '../store.ts'

type Caller = { user_id: string; org_id: string; role: string }
type Member = { project_id: string; user_id: string }

/** Projects and who is in them, which the host application keeps in step. */
export function projects(app: Store): void {
  const { bus, people } = app

  bus.serve(PutProject, async ({ actor, project_id, name, description }) => {
    requireService(actor)
    return people.asUser(actor, db =>
      putProject(db, {
        org_id: actor.org_id,
        id: project_id,
        name: name === undefined ? undefined : (name && cleanName(name, 'name', NAME_MAX)) || null,
        description: description === undefined ? undefined : (description && cleanText(description, 'description')) || null
      })
    )
  })

  bus.serve(PutProjectMember, async ({ actor, project_id, user_id }) => ({
    added: await settle(app, actor, { project_id, user_id }, true)
  }))

  bus.serve(DeleteProjectMember, async ({ actor, project_id, user_id }) => ({
    removed: await settle(app, actor, { project_id, user_id }, false)
  }))
}

/**
 * Makes a person a member of a project, or no member any more, and has them in all of its conversations, or in none.
 *
 * One conversation after the other, each in a transaction of its own: those who write there wait for one change, not for
 * all. Then, with the project held, what came in between, and that they are a member. Whoever dies on the way has left
 * the membership as it was, so the same call made again does the rest.
 *
 * @returns false where it was so already
 */
async function settle({ people, publisher }: Store, actor: Caller, member: Member, isComing: boolean): Promise<boolean> {
  requireService(actor)
  const { org_id } = actor
  const left = await people.asUser(actor, async db => {
    if (!(await findProject(db, org_id, member.project_id))) throw new AppError('project_not_found', `no project ${member.project_id}`)
    const [user] = await (isComing ? findActiveUsers : findUsers)(db, org_id, [member.user_id])
    if (!user) throw new AppError('user_not_found', `no person ${member.user_id}`)
    if ((await isMember(db, org_id, member.project_id, member.user_id)) === isComing) return undefined
    return unsettledConversations(db, { org_id, ...member }, isComing)
  })
  if (!left) return false
  for (const conversation_id of left) {
    tellChange(publisher, await people.asUser(actor, db => move(db, actor, { conversation_id, user_id: member.user_id }, isComing)))
  }
  const { isDone, tellings } = await people.asUser(actor, async db => {
    await lockProject(db, org_id, member.project_id)
    const isDone = isComing ? await insertMember(db, { org_id, ...member }) : await deleteMember(db, { org_id, ...member })
    const tellings: (Telling | undefined)[] = []
    if (isDone) {
      for (const conversation_id of await unsettledConversations(db, { org_id, ...member }, isComing))
        tellings.push(await move(db, actor, { conversation_id, user_id: member.user_id }, isComing))
    }
    return { isDone, tellings }
  })
  for (const telling of tellings) tellChange(publisher, telling)
  return isDone
}

async function move(
  db: Kysely<Tables>,
  { user_id: actor_id }: Caller,
  { conversation_id, user_id }: { conversation_id: string; user_id: string },
  isComing: boolean
): Promise<Telling | undefined> {
  const work = async (change: ConversationChange) => {
    const place = (await findPlaces(db, conversation_id, [user_id])).get(user_id)
    // Where nobody is left, whoever comes has it.
    if (isComing && !place?.is_active) await letIn(change, user_id, change.participant_count === 0 ? 'owner' : 'member')
    if (!isComing && place?.is_active) await letOut(change, place)
  }
  return (await changeConversation(db, { conversation_id, actor_id }, work)).telling
}
