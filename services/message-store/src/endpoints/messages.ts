import {
  AppError,
  cleanContent,
  DeleteMessage,
  EditMessage,
  GetMessage,
  ListReceipts,
  ListReplies,
  ListRevisions,
  RestoreMessage
} from '@parley/contracts'
import type { Kysely } from '@parley/pg-kit'
import { announceUnread } from '../announce.ts'
import { capabilitiesOf } from '../capabilities.ts'
import type { Tables } from '../db.ts'
import { toMessage, toMyMessage } from '../message.ts'
import { changeMessage } from '../message-change.ts'
import {
  deleteMessage,
  editMessage,
  type FoundMessage,
  findMessage,
  listReceipts,
  listRevisions,
  readersFrom,
  repliesTo,
  restoreMessage
} from '../queries/messages.ts'
import { type MyPlace, myRole } from '../queries/my-membership.ts'
import { peopleBehind } from '../queries/unread.ts'
import { requireInTime, requireOwn, requireVisible, requireVoice } from '../rules.ts'
import { removeEntry, replaceEntry } from '../search/entries.ts'
import { findMentions, type Mentions, NOBODY } from '../send/mentions.ts'
import type { Store } from '../store.ts'

const REPLIES = 50

type Caller = { user_id: string; org_id: string }

/** What one does with a single message. */
export function messages(app: Store): void {
  const { bus, people, editWindowSeconds } = app

  bus.serve(GetMessage, ({ actor, message_id }) =>
    people.asUser(
      actor,
      async db => {
        const row = requireVisible(await findMessage(db, actor, message_id), message_id)
        return toMyMessage(row, actor.user_id, await readersFrom(db, row.conversation_id, row.seq))
      },
      { snapshot: true }
    )
  )

  bus.serve(EditMessage, async ({ actor, message_id, content }) => {
    const clean = cleanContent(content)
    const { row } = await changeMessage(app, actor, message_id, 'message_updated', async ({ db, message, at, nextVersion }) => {
      if (message.deleted_at !== null) throw new AppError('message_deleted', 'the message is deleted')
      requireOwn(message, message.status, actor.user_id)
      requireInTime(message, at, editWindowSeconds)
      const place = await myRole(db, message.conversation_id, actor.user_id)
      requireVoice(place)
      const version = await nextVersion()
      const mentions = await mentionsOf(db, message, clean, place)
      await editMessage(db, message, { org_id: actor.org_id, version, content: clean, mentions, at, by: actor.user_id })
      await replaceEntry(db, { ...message, content: clean, version }, actor.org_id)
    })
    return toMessage(row)
  })

  bus.serve(DeleteMessage, async ({ actor, message_id, conversation_id }) => {
    const { row, isChanged } = await changeMessage(app, actor, message_id, 'message_deleted', async ({ db, message, at, nextVersion }) => {
      if (conversation_id !== undefined && message.conversation_id !== conversation_id) {
        throw new AppError('message_not_found', `no message ${message_id} in this conversation`)
      }
      if (message.deleted_at !== null && message.sender_id === actor.user_id) return
      requireOwn(message, message.status, actor.user_id)
      const version = await nextVersion()
      await deleteMessage(db, message_id, { version, at, by: actor.user_id })
      await removeEntry(db, { ...message, version }, actor.org_id)
    })
    const message = toMessage(row)
    // Whoever had not read it has one less to read.
    if (isChanged) tellUnread(app, row)
    const { id, version } = message
    return {
      message,
      deleted: {
        success: true as const,
        message: 'Message deleted successfully',
        id,
        conversation_id: row.conversation_id,
        version,
        deleted_at: row.deleted_at!
      }
    }
  })

  bus.serve(RestoreMessage, async ({ actor, message_id }) => {
    if (actor.role !== 'moderator' && actor.role !== 'admin') throw new AppError('forbidden', 'only moderators restore messages')
    const { row, isChanged } = await changeMessage(
      app,
      actor,
      message_id,
      'message_updated',
      async ({ db, message, at, nextVersion }) => {
        if (message.deleted_at === null) return
        if (message.is_purged) throw new AppError('message_deleted', 'nothing of what the message said is left')
        const version = await nextVersion()
        await restoreMessage(db, message_id, { version, at })
        await replaceEntry(db, { ...message, version }, actor.org_id)
      },
      findOfOrganization
    )
    if (isChanged) tellUnread(app, row)
    return toMyMessage(row, actor.user_id, await people.asUser(actor, db => readersFrom(db, row.conversation_id, row.seq)))
  })

  bus.serve(ListReplies, ({ actor, message_id, query: { limit = REPLIES, after = 0 } }) =>
    people.asUser(
      actor,
      async db => {
        const { id, conversation_id, reply_count } = requireVisible(await findMessage(db, actor, message_id), message_id)
        const rows = await repliesTo(db, id, { user_id: actor.user_id, after, limit: limit + 1 })
        const page = rows.slice(0, limit)
        const readers = page.length > 0 ? await readersFrom(db, conversation_id, page[0]!.seq) : []
        return { messages: page.map(row => toMyMessage(row, actor.user_id, readers)), has_more: rows.length > limit, total: reply_count }
      },
      { snapshot: true }
    )
  )

  bus.serve(ListRevisions, ({ actor, message_id }) =>
    people.asUser(actor, async db => {
      const row = requireVisible(await findMessage(db, actor, message_id), message_id)
      return { revisions: row.deleted_at === null ? await listRevisions(db, message_id) : [] }
    })
  )

  bus.serve(ListReceipts, ({ actor, message_id }) =>
    people.asUser(actor, async db => {
      const row = requireVisible(await findMessage(db, actor, message_id), message_id)
      return { read_by: await listReceipts(db, row) }
    })
  )
}

/** Whom a message calls once its content is another one. */
async function mentionsOf(
  db: Kysely<Tables>,
  { conversation_id }: FoundMessage,
  content: string,
  { role, ...conversation }: MyPlace
): Promise<Mentions> {
  const [mentions = NOBODY] = await findMentions(db, [{ conversation_id, content }])
  return { ...mentions, all: mentions.all && capabilitiesOf(conversation, role).includes('mention_all') }
}

/** For moderators, who need not be in its conversation. */
async function findOfOrganization(db: Kysely<Tables>, actor: Caller, message_id: string): Promise<FoundMessage> {
  const row = await findMessage(db, actor, message_id)
  if (!row) throw new AppError('message_not_found', `no message ${message_id}`)
  return row
}

/** Tells those who had not read up to a message how much there is to read now. */
function tellUnread({ bus, store, log }: Store, row: FoundMessage): void {
  void store
    .query(db => peopleBehind(db, row))
    .then(behind => (behind.length > 0 ? announceUnread({ bus, store }, behind, row.conversation_id) : undefined))
    .catch(err => log.warn({ err }, 'unread counts were not told'))
}
