import type { TSchema } from '@sinclair/typebox'

/** Names of the source designs for fields of requests, and what they are called here. */
const NAMES: ReadonlyMap<string, string> = new Map([
  ['type', 'content_type'],
  ['message_type', 'content_type'],
  ['contentType', 'content_type'],
  ['file_ids', 'attachments'],
  ['fileIds', 'attachments'],
  ['messageId', 'message_id'],
  ['conversationId', 'conversation_id'],
  ['projectId', 'project_id'],
  ['userId', 'user_id'],
  ['participantIds', 'participant_ids'],
  ['recipientId', 'recipient_id'],
  ['replyToId', 'reply_to_id'],
  ['clientMessageId', 'client_message_id']
])

/**
 * The fields of a request by the names of its contract. A source's name is taken where the contract knows the field and
 * not that name, and only once: beside the field itself, or beside another name of it, it stays and is an unknown field.
 *
 * @returns the value itself where nothing had another name, or where it is no object at all
 */
export function ownNames(schema: TSchema, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  const given = value as Record<string, unknown>
  const known: Record<string, TSchema> = schema.properties ?? {}
  let named: Record<string, unknown> | undefined
  for (const name in given) {
    const own = NAMES.get(name)
    if (own === undefined || !(own in known) || name in known || own in (named ?? given)) continue
    named ??= { ...given }
    named[own] = named[name]
    delete named[name]
  }
  return named ?? value
}
