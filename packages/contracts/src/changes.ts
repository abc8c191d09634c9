import { type Static, Type } from '@sinclair/typebox'
import { Conversation, Participant, SharedConversation } from './conversations.ts'
import { defineRequest } from './define.ts'
import { Actor, Id, strict, Version } from './fields.ts'
import { Message, MyMessage } from './messages.ts'

/** What changed in one conversation since a version; every object whole and once, at its newest version. */
export const Changes = Type.Object(
  {
    conversation_id: Id,
    from_version: Version,
    version: Version,
    has_more: Type.Boolean(),
    messages: Type.Array(Message),
    participants: Type.Array(Participant),
    conversation: Type.Optional(SharedConversation)
  },
  { $id: 'Changes' }
)
export type Changes = Static<typeof Changes>

/** As one person is answered over HTTP: each message as they see it. */
export const MyChanges = Type.Composite([Type.Omit(Changes, ['messages']), Type.Object({ messages: Type.Array(MyMessage) })], {
  $id: 'MyChanges'
})
export type MyChanges = Static<typeof MyChanges>

export const ChangesQuery = Type.Object({ since: Version, limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 500 })) }, strict)

export const GetChanges = defineRequest('conversations.changes', {
  summary: 'Tell what changed in a conversation since a version.',
  request: Type.Object({ actor: Actor, conversation_id: Id, query: ChangesQuery }),
  reply: MyChanges,
  errors: ['conversation_not_found', 'not_a_participant', 'invalid_cursor']
})

/** For a gateway that misses a version; what it heals goes to the sockets of participants alone. */
export const HealConversation = defineRequest('conversations.heal', {
  summary: 'Tell a gateway what it missed of a conversation.',
  request: Type.Object({ conversation_id: Id, since: Version }),
  reply: Changes,
  errors: ['conversation_not_found'],
  timeoutMs: 5_000
})

export const HEADS_MAX = 5_000
/** Those that do not exist are left out. */
export const GetHeads = defineRequest('conversations.heads', {
  summary: 'Tell gateways the versions of conversations, so that a lost last event is found.',
  request: Type.Object({ conversation_ids: Type.Array(Id, { maxItems: HEADS_MAX }) }),
  reply: Type.Object({ versions: Type.Array(Type.Tuple([Id, Version])) }),
  timeoutMs: 5_000
})

export const CURSORS_MAX = 1_000
const UUID_KEY = '^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$'
export const Cursors = Type.Record(Type.String({ pattern: UUID_KEY }), Version, { ...strict, maxProperties: CURSORS_MAX })
export const SyncBody = Type.Object({ cursors: Cursors }, strict)

export const SyncReply = Type.Object(
  {
    conversations: Type.Array(Changes),
    added: Type.Array(Conversation),
    removed: Type.Array(Id),
    reset: Type.Array(Id, { description: 'The cursor is newer than the conversation: read it anew.' }),
    has_more: Type.Boolean()
  },
  { $id: 'Sync' }
)

/** What is answered over HTTP. */
export const MySyncReply = Type.Composite(
  [Type.Omit(SyncReply, ['conversations']), Type.Object({ conversations: Type.Array(MyChanges) })],
  {
    $id: 'MySync'
  }
)

export const Sync = defineRequest('conversations.sync', {
  summary: 'Tell what changed in many conversations since the versions held; a constant number of queries.',
  request: Type.Object({
    actor: Actor,
    cursors: Cursors,
    added: Type.Boolean({
      description: 'Asked over HTTP: also list the conversations that are not among the cursors, and tell messages as the caller sees them.'
    })
  }),
  reply: SyncReply,
  timeoutMs: 5_000
})
