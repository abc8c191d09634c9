import { Type } from '@sinclair/typebox'

/** What stands in paths, and what going to a conversation may be refused with. */
export const PathId = Type.String({ format: 'uuid', code: 'invalid_id' })
export const OfConversation = Type.Object({ conversation_id: PathId })
export const OfMessage = Type.Object({ message_id: PathId })
export const OfParticipant = Type.Object({ conversation_id: PathId, user_id: PathId })
export const OfProject = Type.Object({ project_id: PathId })
export const OfMember = Type.Object({ project_id: PathId, user_id: PathId })
export const OfUser = Type.Object({ user_id: PathId })
export const NO_ACCESS = ['conversation_not_found', 'not_a_participant'] as const
