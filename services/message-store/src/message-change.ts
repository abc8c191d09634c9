import type { ChangeType } from '@parley/contracts'
import type { Kysely } from '@parley/pg-kit'
import { announceChange, newBatch } from './announce.ts'
import type { Tables } from './db.ts'
import { toMessage } from './message.ts'
import { type FoundMessage, findMessage, lockConversation, nextVersion } from './queries/messages.ts'
import { leaveInOutbox } from './queries/outbox.ts'
import { requireVisible } from './rules.ts'
import type { Store } from './store.ts'

type Caller = { user_id: string; org_id: string }

/** A message in a conversation whose row is locked: what it says here holds until the commit. */
export interface LockedMessage {
  readonly db: Kysely<Tables>
  readonly message: FoundMessage
  readonly at: string
  /** Takes the conversation's next version for the one change of this transaction; without it nothing is told. */
  nextVersion(): Promise<number>
}

/**
 * Makes one lasting change of one message in one transaction, and tells of it once it is committed.
 *
 * @param find who may change which message; by default whoever is in its conversation and sees it
 * @param work takes a version and writes the change, or leaves all as it is
 * @returns the message as it is then, and whether it was changed
 */
export async function changeMessage(
  { people, publisher }: Pick<Store, 'people' | 'publisher'>,
  actor: Caller,
  message_id: string,
  type: ChangeType,
  work: (locked: LockedMessage) => Promise<void>,
  find: typeof findVisible = findVisible
): Promise<{ row: FoundMessage; isChanged: boolean }> {
  const { batch, at } = newBatch()
  const { row, isChanged } = await people.asUser(actor, async db => {
    const { conversation_id } = await find(db, actor, message_id)
    await lockConversation(db, conversation_id)
    const message = await find(db, actor, message_id)
    const versions: number[] = []
    await work({
      db,
      message,
      at,
      async nextVersion() {
        const version = await nextVersion(db, conversation_id, at)
        versions.push(version)
        return version
      }
    })
    if (versions.length === 0) return { row: message, isChanged: false }
    await leaveInOutbox(db, { id: batch, created_at: at, kind: type, conversation_ids: [conversation_id], versions })
    return { row: await find(db, actor, message_id), isChanged: true }
  })
  if (isChanged) announceChange(publisher, batch, type, toMessage(row))
  return { row, isChanged }
}

async function findVisible(db: Kysely<Tables>, actor: Caller, message_id: string): Promise<FoundMessage> {
  return requireVisible(await findMessage(db, actor, message_id), message_id)
}
