import { type Static, Type } from '@sinclair/typebox'
import { defineRequest } from './define.ts'
import { NAME_MAX } from './directory.ts'
import { Actor, Id, Nullable, strict, Time } from './fields.ts'

const DESCRIPTION_MAX = 2_000

/** What the host application calls a project: its members are in its conversations. */
export const Project = Type.Object(
  {
    id: Id,
    org_id: Id,
    name: Nullable(Type.String({ maxLength: NAME_MAX })),
    description: Nullable(Type.String({ maxLength: DESCRIPTION_MAX })),
    created_at: Time,
    updated_at: Time
  },
  { $id: 'Project' }
)
export type Project = Static<typeof Project>

/** What is left out stays as it was; null is nothing. */
export const PutProjectBody = Type.Object(
  {
    name: Type.Optional(Nullable(Type.String({ maxLength: NAME_MAX }))),
    description: Type.Optional(Nullable(Type.String({ maxLength: DESCRIPTION_MAX })))
  },
  strict
)

export const PutProject = defineRequest('projects.put', {
  summary: 'Create a project, or bring it up to date. For the host application.',
  request: Type.Object({ actor: Actor, project_id: Id, ...PutProjectBody.properties }),
  reply: Project,
  errors: ['forbidden']
})

const OnMember = Type.Object({ actor: Actor, project_id: Id, user_id: Id })

/** Long enough for a project of very many conversations: they are changed one after the other. */
const MEMBER_TIMEOUT_MS = 15_000

/** May be repeated: who is a member already stays as they are, also where they have left a conversation by themselves. */
export const PutProjectMember = defineRequest('projects.put_member', {
  summary: 'Put a person into a project, and so into its conversations. For the host application.',
  request: OnMember,
  reply: Type.Object({ added: Type.Boolean() }),
  errors: ['forbidden', 'project_not_found', 'user_not_found', 'conversation_full'],
  timeoutMs: MEMBER_TIMEOUT_MS
})

/** May be repeated. */
export const DeleteProjectMember = defineRequest('projects.delete_member', {
  summary: 'Take a person out of a project, and so out of its conversations. For the host application.',
  request: OnMember,
  reply: Type.Object({ removed: Type.Boolean() }),
  errors: ['forbidden', 'project_not_found', 'user_not_found'],
  timeoutMs: MEMBER_TIMEOUT_MS
})
