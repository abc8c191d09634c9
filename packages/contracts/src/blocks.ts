import { Type } from '@sinclair/typebox'
import { defineRequest } from './define.ts'
import { User } from './directory.ts'
import { Actor, Id } from './fields.ts'

/** Whom one person may block. */
export const BLOCKS_MAX = 1_000

export const Blocks = Type.Object({ users: Type.Array(User, { maxItems: BLOCKS_MAX }) }, { $id: 'Blocks' })

const OfPerson = Type.Object({ actor: Actor, user_id: Id })

/** May be repeated. Conversations that stand are not touched: no new direct one is made, and what stands takes no sends. */
export const BlockUser = defineRequest('blocks.put', {
  summary: 'Hear no more from a person in direct conversations.',
  request: OfPerson,
  reply: Type.Object({ blocked: Type.Boolean() }),
  errors: ['user_not_found', 'self_conversation', 'blocks_full']
})

/** May be repeated. */
export const UnblockUser = defineRequest('blocks.delete', {
  summary: 'Hear from a person again.',
  request: OfPerson,
  reply: Type.Object({ unblocked: Type.Boolean() }),
  errors: ['user_not_found', 'self_conversation']
})

export const ListBlocks = defineRequest('blocks.list', {
  summary: 'List whom the caller has blocked, the latest first.',
  request: Type.Object({ actor: Actor }),
  reply: Blocks
})
