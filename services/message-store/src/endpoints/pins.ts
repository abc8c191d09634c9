import { AppError, ListPins, PINS_MAX, PinMessage } from '@parley/contracts'
import { capabilitiesOf } from '../capabilities.ts'
import { toMessage, toMyMessage } from '../message.ts'
import { changeMessage } from '../message-change.ts'
import { findMembership } from '../queries/membership.ts'
import { readersFrom } from '../queries/messages.ts'
import { myRole } from '../queries/my-membership.ts'
import { countPins, pinnedMessages, setPin } from '../queries/pins.ts'
import { requireLive, requireParticipant, requireUnblocked } from '../rules.ts'
import type { Store } from '../store.ts'

/** What is held up in a conversation for everyone to find. */
export function pins(app: Store): void {
  const { bus, people } = app

  bus.serve(PinMessage, async ({ actor, message_id, pinned }) => {
    const { row } = await changeMessage(app, actor, message_id, 'message_updated', async ({ db, message, at, nextVersion }) => {
      requireLive(message)
      const { role, ...conversation } = await myRole(db, message.conversation_id, actor.user_id)
      requireUnblocked(conversation)
      if (!capabilitiesOf(conversation, role).includes('pin')) throw new AppError('forbidden', 'only owners and admins pin here')
      if ((message.pinned_at !== null) === pinned) return
      if (pinned && (await countPins(db, message.conversation_id)) >= PINS_MAX)
        throw new AppError('too_many_pins', `a conversation has ${PINS_MAX} pins at most`)
      await setPin(db, message.id, { by: pinned ? actor.user_id : null, version: await nextVersion(), at })
    })
    return toMessage(row)
  })

  bus.serve(ListPins, ({ actor, conversation_id }) =>
    people.asUser(
      actor,
      async db => {
        requireParticipant(await findMembership(db, actor, conversation_id), conversation_id)
        const rows = await pinnedMessages(db, conversation_id, actor.user_id, PINS_MAX)
        const readers = rows.length > 0 ? await readersFrom(db, conversation_id, Math.min(...rows.map(({ seq }) => seq))) : []
        return { messages: rows.map(row => toMyMessage(row, actor.user_id, readers)) }
      },
      { snapshot: true }
    )
  )
}
