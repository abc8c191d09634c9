import { randomUUIDv7 } from 'node:crypto'
import {
  type Actor,
  AppError,
  CONVERSATION_TOLD_MAX,
  type Conversation,
  CreateConversation,
  cleanName,
  cleanText,
  GetConversation,
  GetDirectConversation,
  ListConversations,
  type ListConversationsQuery,
  ListParticipants,
  ListProjectConversations,
  metadataJson,
  PARTICIPANTS_MAX,
  type PostedMessage,
  type ReplyOf,
  TITLE_MAX,
  type User
} from '@parley/contracts'
import type { Kysely } from '@parley/pg-kit'
import { type Added, announceAdded, newBatch } from '../announce.ts'
import { capabilitiesOf, historyOf } from '../capabilities.ts'
import type { Tables } from '../db.ts'
import { isBlockedBetween } from '../queries/blocks.ts'
import { getConversations, insertConversation, type NewConversation, pageOfConversations } from '../queries/conversations.ts'
import { findMembership } from '../queries/membership.ts'
import { leaveInOutbox } from '../queries/outbox.ts'
import { pageOfParticipants } from '../queries/participants.ts'
import { findActiveUsers } from '../queries/people.ts'
import { findProject, holdProject, membersOf } from '../queries/projects.ts'
import { databaseTime } from '../queries/scheduled.ts'
import { requireParticipant, requireSoon } from '../rules.ts'
import { requireFirst } from '../send/send.ts'
import type { Store } from '../store.ts'
import { toPagination } from './pagination.ts'

type Draft = Omit<NewConversation, 'id' | 'org_id' | 'created_by' | 'people' | 'at'> & { others: string[] }

const DIRECT = { type: 'direct', project_id: null, history: historyOf('direct'), title: null, description: null, metadata: '{}' } as const

const PAGE_SIZE = 20

/** Conversations and who is in them. */
export function conversations(app: Store): void {
  const { bus, people } = app

  bus.serve(ListConversations, ({ actor, query }) => people.asUser(actor, db => list(db, actor, query), { snapshot: true }))

  bus.serve(ListProjectConversations, ({ actor, project_id, query }) =>
    people.asUser(
      actor,
      async db => {
        if (!(await findProject(db, actor.org_id, project_id))) throw new AppError('project_not_found', `no project ${project_id}`)
        return list(db, actor, { ...query, project_id })
      },
      { snapshot: true }
    )
  )

  bus.serve(GetConversation, ({ actor, conversation_id }) =>
    people.asUser(
      actor,
      async db => {
        requireParticipant(await findMembership(db, actor, conversation_id), conversation_id)
        const [conversation] = await getConversations(db, actor, [conversation_id])
        return conversation!
      },
      { snapshot: true }
    )
  )

  bus.serve(CreateConversation, async ({ actor, type, title, description, participant_ids, project_id, metadata, history }) => {
    if (participant_ids === undefined && (type === 'group' || type === 'direct')) refuseField('/participant_ids', 'is missing')
    if (type === 'project' && project_id === undefined) refuseField('/project_id', 'is missing')
    if (type !== 'project' && project_id !== undefined) refuseField('/project_id', 'belongs to conversations of type project')
    const others = [...new Set(participant_ids)].filter(id => type === 'direct' || id !== actor.user_id)
    if (type === 'direct' && others.length !== 1)
      throw new AppError('direct_conversation', 'a direct conversation has exactly one other person')
    return create(app, actor, {
      type,
      project_id: project_id ?? null,
      history: history ?? historyOf(type),
      others,
      title: (title !== undefined && type !== 'direct' && cleanName(title, 'title', TITLE_MAX)) || null,
      description: (description !== undefined && cleanText(description, 'description')) || null,
      metadata: metadataJson(metadata ?? {})
    })
  })

  bus.serve(GetDirectConversation, ({ actor, user_id, message }) => create(app, actor, { ...DIRECT, others: [user_id] }, message))

  bus.serve(ListParticipants, ({ actor, conversation_id, query }) =>
    people.asUser(
      actor,
      async db => {
        requireParticipant(await findMembership(db, actor, conversation_id), conversation_id)
        const page = { page: query.page ?? 1, page_size: query.page_size ?? PAGE_SIZE }
        const { participants, total } = await pageOfParticipants(db, conversation_id, page)
        return { participants, pagination: toPagination(page, total) }
      },
      { snapshot: true }
    )
  )
}

async function list(db: Kysely<Tables>, actor: Actor, query: ListConversationsQuery): Promise<ReplyOf<typeof ListConversations>> {
  const page = { page: query.page ?? 1, page_size: query.page_size ?? PAGE_SIZE }
  const { ids, total } = await pageOfConversations(db, actor, query, page)
  return { conversations: await getConversations(db, actor, ids), pagination: toPagination(page, total) }
}

function refuseField(path: string, message: string): never {
  throw new AppError('invalid_request', `${path.slice(1)} ${message}`, { errors: [{ path, message }] })
}

/**
 * Creates a conversation and tells everyone in it; gives the direct one that stands already.
 *
 * @param first what is to begin it: where that could not be sent, none is made
 */
async function create(
  { people, publisher }: Store,
  actor: Actor,
  { others, ...draft }: Draft,
  first?: PostedMessage
): Promise<{ conversation: Conversation; created: boolean }> {
  if (others.includes(actor.user_id)) throw new AppError('self_conversation', 'a conversation with oneself is not possible')
  const { batch, at } = newBatch()
  const { created, seen, users } = await people.asUser(actor, async db => {
    const everyone = [...new Set([actor.user_id, ...others, ...(await projectPeople(db, actor, draft.project_id))])]
    if (everyone.length > PARTICIPANTS_MAX + 1)
      throw new AppError('conversation_full', `a conversation has ${PARTICIPANTS_MAX + 1} people at most`)
    const users = new Map((await findActiveUsers(db, actor.org_id, everyone)).map(user => [user.id, user]))
    const missing = everyone.find(id => !users.has(id))
    if (missing !== undefined) throw new AppError('user_not_found', `no person ${missing}`)

    const { id, created } = await insertConversation(db, {
      id: randomUUIDv7(),
      org_id: actor.org_id,
      created_by: actor.user_id,
      people: everyone,
      at,
      ...draft
    })
    // One that stands is still given: what was said there is theirs.
    if (created && draft.type === 'direct' && (await isBlockedBetween(db, actor.org_id, actor.user_id, others[0]!)))
      throw new AppError('blocked', 'one of the two has blocked the other')
    if (created && first) {
      requireFirst(first)
      if (first.send_at !== undefined) requireSoon(first.send_at, await databaseTime(db))
    }
    if (created)
      await leaveInOutbox(db, { id: batch, created_at: at, kind: 'conversation_added', conversation_ids: [id], user_ids: everyone })
    const [mine] = await getConversations(db, actor, [id])
    return { created, seen: mine!, users }
  })
  if (created) announceAdded(publisher, batch, seen, asSeenByAll(seen, users))
  return { conversation: seen, created }
}

/**
 * The people of a project, who are all in a conversation that is made of it.
 *
 * @throws AppError project_not_found, forbidden to who is not in it
 */
async function projectPeople(db: Kysely<Tables>, actor: Actor, project_id: string | null): Promise<string[]> {
  if (project_id === null) return []
  if (!(await holdProject(db, actor.org_id, project_id))) throw new AppError('project_not_found', `no project ${project_id}`)
  const members = await membersOf(db, actor.org_id, project_id)
  if (!members.includes(actor.user_id) && actor.role !== 'admin' && actor.role !== 'service')
    throw new AppError('forbidden', 'you are not in this project')
  return members
}

/** A new conversation as each of its people sees it: alike but for the role, and the other one of a direct conversation. */
function asSeenByAll(mine: Conversation, users: ReadonlyMap<string, User>): Added[] {
  const everyone = [...users.keys()]
  if (everyone.length > CONVERSATION_TOLD_MAX) return everyone.map(user_id => ({ user_id }))
  const creator = users.get(mine.created_by) ?? null
  const theirs: Conversation = {
    ...mine,
    my: { ...mine.my, role: 'member', capabilities: capabilitiesOf(mine, 'member') },
    ...(mine.type === 'direct' && { participant: creator })
  }
  return everyone.map(user_id => ({ user_id, conversation: user_id === mine.created_by ? mine : theirs }))
}
