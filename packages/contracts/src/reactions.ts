import { Type } from '@sinclair/typebox'
import { defineRequest } from './define.ts'
import { Actor, Count, Id, strict } from './fields.ts'
import { Message, MyMessage } from './messages.ts'

/** As many emojis as a message may have of different kinds; people of one kind are not counted. */
export const REACTION_KINDS_MAX = 50
/** Longest of the recommended set, families with skin tones, with room to spare. */
export const Emoji = Type.String({ minLength: 1, maxLength: 64, description: 'One emoji of the recommended set of Unicode.' })

export const REACTION_ERRORS = [
  'message_not_found',
  'not_a_participant',
  'message_deleted',
  'invalid_emoji',
  'conversation_locked',
  'conversation_archived'
] as const

const OnReaction = Type.Object({ actor: Actor, message_id: Id, emoji: Emoji })

/** Once a person and emoji: a second time changes nothing. */
export const AddReaction = defineRequest('reactions.add', {
  summary: 'React to a message.',
  request: OnReaction,
  reply: Message,
  errors: [...REACTION_ERRORS, 'too_many_reactions', 'blocked']
})

export const RemoveReaction = defineRequest('reactions.remove', {
  summary: "Take one's reaction back.",
  request: OnReaction,
  reply: Message,
  errors: [...REACTION_ERRORS]
})

export const PINS_MAX = 50

export const PIN_ERRORS = [
  'message_not_found',
  'not_a_participant',
  'message_deleted',
  'forbidden',
  'blocked',
  'conversation_locked',
  'conversation_archived'
] as const

export const PinMessage = defineRequest('messages.pin', {
  summary: 'Pin a message, or unpin it.',
  request: Type.Object({ actor: Actor, message_id: Id, pinned: Type.Boolean() }),
  reply: Message,
  errors: [...PIN_ERRORS, 'too_many_pins']
})

export const ListPins = defineRequest('messages.pins', {
  summary: 'List what is pinned in a conversation, the newest pin first.',
  request: Type.Object({ actor: Actor, conversation_id: Id }),
  reply: Type.Object({ messages: Type.Array(MyMessage, { maxItems: PINS_MAX }) }),
  errors: ['conversation_not_found', 'not_a_participant']
})

export const RepliesQuery = Type.Object(
  {
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })),
    after: Type.Optional(
      Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description: 'The seq of the last one that I have.' })
    )
  },
  strict
)

export const ListReplies = defineRequest('messages.replies', {
  summary: 'Read what was said in reply to a message, oldest first.',
  request: Type.Object({ actor: Actor, message_id: Id, query: RepliesQuery }),
  reply: Type.Object({ messages: Type.Array(MyMessage), has_more: Type.Boolean(), total: Count }),
  errors: ['message_not_found', 'not_a_participant']
})

/** For moderators: what its sender deleted, or a moderator, is said again. */
export const RestoreMessage = defineRequest('messages.restore', {
  summary: 'Give a deleted message back its content.',
  request: Type.Object({ actor: Actor, message_id: Id }),
  reply: MyMessage,
  errors: ['message_not_found', 'forbidden', 'message_deleted']
})
