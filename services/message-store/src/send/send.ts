import { AppError, cleanContent, cleanText, type MessageBody, metadataJson, type Send } from '@parley/contracts'
import type { Outgoing } from '../message.ts'
import { invalidReply } from './refusals.ts'

/**
 * Cleans a send and gives it its id.
 *
 * @throws AppError content_empty, content_too_long, invalid_text, invalid_request, attachment_not_found
 */
export function toOutgoing(send: Send, id: string): Outgoing {
  // No service keeps attachments yet, so none can be named.
  if (send.attachments?.length) throw new AppError('attachment_not_found', `no attachment ${send.attachments[0]}`)
  return {
    id,
    org_id: send.org_id,
    conversation_id: send.conversation_id,
    user_id: send.user_id,
    content: cleanContent(send.content),
    content_type: send.content_type ?? 'text',
    reply_to_id: send.reply_to_id ?? null,
    client_message_id: send.client_message_id === undefined ? null : cleanClientId(send.client_message_id),
    metadata: send.metadata === undefined || Object.keys(send.metadata).length === 0 ? null : metadataJson(send.metadata),
    forwarded_from: null
  }
}

/**
 * Holds that a message could begin a conversation.
 *
 * @throws AppError as `toOutgoing`; invalid_reply, since there is nothing to reply to
 */
export function requireFirst(message: MessageBody): void {
  if (message.reply_to_id !== undefined) throw invalidReply(message.reply_to_id)
  toOutgoing({ ...message, org_id: '', conversation_id: '', user_id: '' }, '')
}

function cleanClientId(client_message_id: string): string {
  const clean = cleanText(client_message_id, 'client_message_id')
  if (clean !== client_message_id) {
    throw new AppError('invalid_request', 'client_message_id has characters that cannot be kept as they are', {
      errors: [{ path: '/client_message_id', message: 'must have no control characters and no space at its ends' }]
    })
  }
  return clean
}

/** What makes a message the same one when it is sent again; without a client_message_id nothing does. */
export const isSameKey = (a: Outgoing, b: Outgoing): boolean =>
  a.client_message_id !== null &&
  a.client_message_id === b.client_message_id &&
  a.conversation_id === b.conversation_id &&
  a.user_id === b.user_id

export const isSameContent = (a: Outgoing, b: Outgoing): boolean =>
  a.content === b.content && a.content_type === b.content_type && a.reply_to_id === b.reply_to_id

export const mismatch = (client_message_id: string): AppError =>
  new AppError('idempotency_mismatch', `client_message_id ${client_message_id} was used for a message with other content`)
