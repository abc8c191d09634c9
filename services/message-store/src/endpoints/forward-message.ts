import { randomUUIDv7 } from 'node:crypto'
import { AppError, type ErrorBody, ForwardMessage, type StandingMessage } from '@parley/contracts'
import { findMessage } from '../queries/messages.ts'
import { requireVisible } from '../rules.ts'
import { toOutgoing } from '../send/send.ts'
import type { Store } from '../store.ts'

type Line = { message: StandingMessage; duplicate?: true } | { error: ErrorBody }

export function forwardMessage({ bus, people, batch }: Store): void {
  bus.serve(ForwardMessage, async ({ actor, message_id, conversation_id, client_message_id }) => {
    const source = await people.asUser(actor, async db => requireVisible(await findMessage(db, actor, message_id), message_id))
    if (source.deleted_at !== null) throw new AppError('message_deleted', 'the message is deleted')
    if (source.content_type === 'system') throw new AppError('message_not_found', 'what the system says is not forwarded')
    const { user_id, org_id } = actor
    const { content } = source
    const outgoing = toOutgoing(
      { user_id, org_id, conversation_id, content, ...(client_message_id !== undefined && { client_message_id }) },
      randomUUIDv7()
    )
    // Of a message that was forwarded itself, the first one is named: whoever said it.
    const line = await batch.send({
      ...outgoing,
      content_type: source.content_type,
      forwarded_from: source.forwarded_from ?? source.id
    })
    const answer: Line = JSON.parse(Buffer.from(line).toString())
    if ('error' in answer) throw AppError.from(answer.error)
    return answer
  })
}
