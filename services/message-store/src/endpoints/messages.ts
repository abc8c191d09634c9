import { AppError, cleanContent, DeleteMessage, EditMessage, GetMessage, ListReceipts, ListRevisions } from '@parley/contracts'
import type { Kysely } from '@parley/pg-kit'
import { announceChange, announceUnread, newBatch } from '../announce.ts'
import type { Tables } from '../db.ts'
import { toMessage, toMyMessage } from '../message.ts'
import {
  deleteMessage,
  editMessage,
  type FoundMessage,
  findMessage,
  listReceipts,
  listRevisions,
  lockConversation,
  nextVersion,
  readersFrom
} from '../queries/messages.ts'
import { leaveInOutbox } from '../queries/outbox.ts'
import { peopleBehind } from '../queries/unread.ts'
import { requireOwn, requireVisible } from '../rules.ts'
import { removeEntry, replaceEntry } from '../search/entries.ts'
import type { Store } from '../store.ts'

type Caller = { user_id: string; org_id: string }

/** What one does with a single message. */
export function messages({ bus, people, store, publisher, log }: Store): void {
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
    const { batch, at } = newBatch()
    const row = await people.asUser(actor, async db => {
      const message = await lockMessage(db, actor, message_id)
      if (message.deleted_at !== null) throw new AppError('message_deleted', 'the message is deleted')
      requireOwn(message, message.status, actor.user_id)
      const version = await nextVersion(db, message.conversation_id, at)
      await editMessage(db, message, { org_id: actor.org_id, version, content: clean, at, by: actor.user_id })
      await leaveInOutbox(db, {
        id: batch,
        created_at: at,
        kind: 'message_updated',
        conversation_ids: [message.conversation_id],
        versions: [version]
      })
      const edited = { ...message, content: clean, version, edited_at: at, updated_at: at }
      await replaceEntry(db, edited, actor.org_id)
      return edited
    })
    const message = toMessage(row)
    announceChange(publisher, batch, 'message_updated', message)
    return message
  })

  bus.serve(DeleteMessage, async ({ actor, message_id, conversation_id }) => {
    const { batch, at } = newBatch()
    const { row, isNew } = await people.asUser(actor, async db => {
      const message = await lockMessage(db, actor, message_id)
      if (conversation_id !== undefined && message.conversation_id !== conversation_id) {
        throw new AppError('message_not_found', `no message ${message_id} in this conversation`)
      }
      if (message.deleted_at !== null && message.sender_id === actor.user_id) return { row: message, isNew: false }
      requireOwn(message, message.status, actor.user_id)
      const version = await nextVersion(db, message.conversation_id, at)
      await deleteMessage(db, message_id, { version, at, by: actor.user_id })
      await removeEntry(db, { ...message, version }, actor.org_id)
      await leaveInOutbox(db, {
        id: batch,
        created_at: at,
        kind: 'message_deleted',
        conversation_ids: [message.conversation_id],
        versions: [version]
      })
      return { row: { ...message, version, deleted_at: at, updated_at: at }, isNew: true }
    })
    const message = toMessage(row)
    if (isNew) {
      announceChange(publisher, batch, 'message_deleted', message)
      // Whoever had not read it has one less to read.
      void store
        .query(db => peopleBehind(db, row))
        .then(behind => (behind.length > 0 ? announceUnread({ bus, store }, behind, row.conversation_id) : undefined))
        .catch(err => log.warn({ err }, 'unread counts were not told'))
    }
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

/** Reads a message again once its conversation is locked: what it says then holds until the commit. */
async function lockMessage(db: Kysely<Tables>, actor: Caller, message_id: string): Promise<FoundMessage> {
  const { conversation_id } = requireVisible(await findMessage(db, actor, message_id), message_id)
  await lockConversation(db, conversation_id)
  return requireVisible(await findMessage(db, actor, message_id), message_id)
}
