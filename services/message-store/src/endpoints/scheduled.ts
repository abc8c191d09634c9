import {
  AppError,
  CancelScheduled,
  ChangeScheduled,
  cleanContent,
  GetScheduled,
  ListScheduled,
  type RequestOf,
  SCHEDULED_MAX,
  type ScheduledMessage,
  ScheduleMessage
} from '@parley/contracts'
import type { Kysely } from '@parley/pg-kit'
import type { Tables } from '../db.ts'
import type { Outgoing } from '../message.ts'
import { toMessage, toMyMessage } from '../message.ts'
import { readersFrom } from '../queries/messages.ts'
import {
  cancelScheduled,
  changeScheduled,
  countScheduled,
  databaseTime,
  findScheduled,
  findScheduledAs,
  insertScheduled,
  listScheduled,
  lockAuthor,
  type ScheduledRow
} from '../queries/scheduled.ts'
import { requireSoon } from '../rules.ts'
import { findRefusals, findStanding } from '../send/insert-messages.ts'
import { isStanding, refusalOf } from '../send/refusals.ts'
import { idAt } from '../send/scheduled-id.ts'
import { mismatch, toOutgoing } from '../send/send.ts'
import type { Store } from '../store.ts'

type Caller = { user_id: string; org_id: string }
type Answer = Awaited<ReturnType<typeof schedule>>

/** What only readers give a message; its author has not sent it yet. */
const UNREAD = { is_mine: true, is_read: false, read_by: [] }

/** What people write now and send later. */
export function scheduled({ bus, people }: Store): void {
  bus.serve(ScheduleMessage, request => people.asUser(request.actor, (db): Promise<Answer> => schedule(db, request)))

  bus.serve(ListScheduled, ({ actor }) =>
    people.asUser(actor, async db => ({ messages: (await listScheduled(db, actor, SCHEDULED_MAX)).map(toScheduled) }))
  )

  bus.serve(GetScheduled, ({ actor, scheduled_id }) => people.asUser(actor, db => requireScheduled(db, actor, scheduled_id)))

  bus.serve(ChangeScheduled, ({ actor, scheduled_id, content, send_at }) =>
    people.asUser(actor, async db => {
      if (send_at !== undefined) requireSoon(send_at, await databaseTime(db))
      const change = {
        content: content === undefined ? undefined : cleanContent(content),
        send_at: send_at === undefined ? undefined : new Date(send_at).toISOString()
      }
      const isAny = change.content !== undefined || change.send_at !== undefined
      if (isAny && !(await changeScheduled(db, actor, scheduled_id, change))) throw notFound(scheduled_id)
      return requireScheduled(db, actor, scheduled_id)
    })
  )

  bus.serve(CancelScheduled, ({ actor, scheduled_id }) =>
    people.asUser(actor, async db => {
      if (!(await cancelScheduled(db, actor, scheduled_id))) throw notFound(scheduled_id)
      return { cancelled: true }
    })
  )
}

async function schedule(db: Kysely<Tables>, { actor, conversation_id, send_at, ...message }: RequestOf<typeof ScheduleMessage>) {
  const at = Date.parse(send_at)
  const { user_id, org_id } = actor
  const outgoing = toOutgoing({ ...message, conversation_id, user_id, org_id }, idAt(at))
  await lockAuthor(db, actor)
  // Before its time is looked at: a repetition may come when that has passed.
  const standing = outgoing.client_message_id === null ? undefined : await findWhatStands(db, outgoing)
  if (standing) return { message: standing, duplicate: true }

  requireSoon(send_at, await databaseTime(db))
  const [reason] = await findRefusals(db, [outgoing])
  const refusal = refusalOf(reason, outgoing)
  if (refusal) throw refusal
  if ((await countScheduled(db, actor)) >= SCHEDULED_MAX) {
    throw new AppError('scheduled_full', `${SCHEDULED_MAX} messages may be scheduled at most`)
  }
  await insertScheduled(db, outgoing, new Date(at).toISOString())
  return { message: await requireScheduled(db, actor, outgoing.id), duplicate: false }
}

/**
 * What stands under a client_message_id: scheduled, cancelled or sent. Looked for in this order, a message that is sent
 * meanwhile is found.
 *
 * @throws AppError idempotency_mismatch
 */
async function findWhatStands(db: Kysely<Tables>, outgoing: Outgoing) {
  const row = await findScheduledAs(db, outgoing)
  if (row) {
    const isSame =
      row.first_content === outgoing.content && row.content_type === outgoing.content_type && row.reply_to_id === outgoing.reply_to_id
    if (!isSame) throw mismatch(outgoing.client_message_id ?? '')
    return toScheduled(row)
  }
  const [sent] = await findStanding(db, [outgoing])
  if (!sent) return undefined
  if (!isStanding(sent, outgoing)) throw mismatch(outgoing.client_message_id ?? '')
  return toMyMessage(sent, outgoing.user_id, await readersFrom(db, sent.conversation_id, sent.seq))
}

const notFound = (id: string): AppError => new AppError('message_not_found', `no scheduled message ${id}`)

/** @throws AppError message_not_found where it is not the caller's, cancelled, or sent already */
async function requireScheduled(db: Kysely<Tables>, actor: Caller, id: string): Promise<ScheduledMessage> {
  const row = await findScheduled(db, actor, id)
  if (!row || row.status === 'cancelled') throw notFound(id)
  return toScheduled(row)
}

/** In the shape of a message, as far as there is one. */
function toScheduled(row: ScheduledRow): ScheduledMessage {
  const { user_id: sender_id, status, send_at, error } = row
  const isCancelled = status === 'cancelled'
  const message = toMessage({
    ...row,
    sender_id,
    seq: 0,
    version: 0,
    reply_count: 0,
    edited_at: null,
    deleted_at: isCancelled ? row.updated_at : null,
    pinned_at: null,
    mentions: null,
    mention_all: false,
    forwarded_from: null,
    reactions: null
  })
  return { ...message, seq: null, ...UNREAD, status, send_at, error }
}
