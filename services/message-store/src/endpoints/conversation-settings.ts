import { isDeepStrictEqual } from 'node:util'
import {
  AppError,
  ChangeConversation,
  type ChangeConversationBody,
  ChangeMembership,
  type Conversation,
  cleanName,
  cleanText,
  codePoints,
  DRAFT_MAX,
  type Mine,
  metadataJson,
  TITLE_MAX,
  UserMoment
} from '@parley/contracts'
import type { Static } from '@sinclair/typebox'
import { announceChanges, newBatch } from '../announce.ts'
import { ConversationChange } from '../conversation-change.ts'
import type { SharedFields } from '../queries/change.ts'
import { type ChangesAt, changesAt } from '../queries/changes-at.ts'
import { getConversations } from '../queries/conversations.ts'
import { findMembership } from '../queries/membership.ts'
import { changeMembership } from '../queries/my-membership.ts'
import { findPlaces } from '../queries/participants.ts'
import { findUsers } from '../queries/people.ts'
import { requireManager, requireNotDirect, requireParticipant, requirePlace } from '../rules.ts'
import type { Store } from '../store.ts'

/** What a conversation is to everyone in it, and to each alone. */
export function conversationSettings({ bus, people, publisher }: Store): void {
  bus.serve(ChangeConversation, async ({ actor, conversation_id, ...given }) => {
    const fields = cleanFields(given)
    const { batch } = newBatch()
    const { seen, told } = await people.asUser(actor, async (db): Promise<{ seen: Conversation; told: ChangesAt | undefined }> => {
      requireParticipant(await findMembership(db, actor, conversation_id), conversation_id)
      const change = await ConversationChange.begin(db, conversation_id, actor.user_id)
      const { id } = change.conversation
      // Read behind the lock: whoever was unmade an admin meanwhile is none.
      const { role } = requirePlace((await findPlaces(db, id, [actor.user_id])).get(actor.user_id))
      requireNotDirect(change.conversation)
      requireManager(role)
      await apply(change, fields)
      if (change.versions.length > 0) await change.finish(batch)
      const told = change.versions.length > 0 ? await changesAt(db, id, change.versions, []) : undefined
      const [seen] = await getConversations(db, actor, [id])
      return { seen: seen!, told }
    })
    if (told) announceChanges(publisher, batch, told)
    return seen
  })

  bus.serve(ChangeMembership, async ({ actor, conversation_id, archived, pinned, notifications, muted_until, draft }) => {
    const change = { archived, pinned, notifications, muted_until, draft: cleanDraft(draft) }
    const my = await people.asUser(actor, async (db): Promise<Mine> => {
      const { id } = requireParticipant(await findMembership(db, actor, conversation_id), conversation_id)
      return changeMembership(db, { conversation_id: id, user_id: actor.user_id }, change)
    })
    const { org_id, user_id } = actor
    bus.publish(UserMoment, { org_id, user_id }, { type: 'membership_updated', conversation_id, my })
    return my
  })
}

type Given = Static<typeof ChangeConversationBody>

function cleanFields({ title, description, status, metadata, history }: Given): SharedFields {
  return {
    ...(title !== undefined && { title: (title !== null && cleanName(title, 'title', TITLE_MAX)) || null }),
    ...(description !== undefined && { description: (description !== null && cleanText(description, 'description')) || null }),
    ...(status !== undefined && { status }),
    ...(metadata !== undefined && { metadata: metadataJson(metadata) }),
    ...(history !== undefined && { history })
  }
}

/** Makes one version of all that is to change, and after it tells of a new title and a new status; of nothing where all is so already. */
async function apply(change: ConversationChange, fields: SharedFields): Promise<void> {
  const { db, conversation, actor_id } = change
  const isNew = (key: 'title' | 'description' | 'status' | 'history') => fields[key] !== undefined && fields[key] !== conversation[key]
  const isOther = fields.metadata !== undefined && !isDeepStrictEqual(JSON.parse(fields.metadata), conversation.metadata)
  if (!isNew('title') && !isNew('description') && !isNew('status') && !isNew('history') && !isOther) return
  change.set(fields)
  const by = (await findUsers(db, conversation.org_id, [actor_id]))[0]?.display_name ?? ''
  if (isNew('title')) {
    const title = fields.title ?? null
    const content = title === null ? `${by} took the title away` : `${by} changed the title to “${title}”`
    await change.tell(content, { event: 'title_changed', title, actor_id })
  }
  if (isNew('status')) {
    const status = fields.status!
    await change.tell(`${by} ${STATUS_DEED[status]} the conversation`, { event: 'status_changed', status, actor_id })
  }
}

const STATUS_DEED: Readonly<Record<string, string>> = { active: 'opened', archived: 'archived', locked: 'locked' }

function cleanDraft(draft: string | null | undefined): string | null | undefined {
  if (typeof draft !== 'string') return draft
  const clean = cleanText(draft, 'draft')
  if (codePoints(clean) > DRAFT_MAX) {
    const message = `must have ${DRAFT_MAX} characters at most`
    throw new AppError('content_too_long', `draft ${message}`, { errors: [{ path: '/draft', message }] })
  }
  return clean === '' ? null : clean
}
