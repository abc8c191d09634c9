import { Type } from '@sinclair/typebox'
import { Blocks } from '../blocks.ts'
import { defineRoute } from '../define.ts'
import { Me, NAME_MAX, PutUser, PutUserBody, Settings, User } from '../directory.ts'
import { Count, strict } from '../fields.ts'
import { Limits } from '../frames.ts'
import { OfUser } from './params.ts'

export const Config = Type.Object(
  {
    limits: Limits,
    heartbeat_interval_ms: Count,
    reconnect_max_jitter_ms: Count,
    features: Type.Record(Type.String(), Type.Boolean()),
    demo: Type.Boolean()
  },
  { $id: 'Config' }
)

/** Who I am, who else is here, and what this server offers. */
export const peopleRoutes = {
  config: defineRoute({
    method: 'GET',
    path: '/config',
    tag: 'people',
    summary: 'Read the limits and features of this server.',
    public: true,
    replies: { 200: Config },
    errors: []
  }),
  me: defineRoute({ method: 'GET', path: '/me', tag: 'people', summary: 'Read who I am.', replies: { 200: Me }, errors: [] }),
  updateMe: defineRoute({
    method: 'PATCH',
    path: '/me',
    tag: 'people',
    summary: 'Keep my settings.',
    body: Type.Object({ settings: Settings }, strict),
    replies: { 200: Me },
    errors: []
  }),
  listUsers: defineRoute({
    method: 'GET',
    path: '/users',
    tag: 'people',
    summary: 'List people of my organization.',
    query: Type.Object(
      { q: Type.Optional(Type.String({ maxLength: NAME_MAX })), limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })) },
      strict
    ),
    replies: { 200: Type.Object({ users: Type.Array(User) }) },
    errors: []
  }),
  getUser: defineRoute({
    method: 'GET',
    path: '/users/{user_id}',
    tag: 'people',
    summary: 'Read one person.',
    params: OfUser,
    replies: { 200: User },
    errors: ['user_not_found']
  }),
  putUser: defineRoute({
    method: 'PUT',
    path: '/users/{user_id}',
    tag: 'people',
    summary: 'Create a person, bring them up to date, or have a deactivated one back; for the role `service`.',
    params: OfUser,
    body: PutUserBody,
    replies: { 200: User },
    errors: PutUser.errors
  }),
  deactivateUser: defineRoute({
    method: 'DELETE',
    path: '/users/{user_id}',
    tag: 'people',
    summary: 'Deactivate a person; for the role `service`. They stay in histories under their name.',
    params: OfUser,
    replies: { 204: null },
    errors: ['forbidden', 'user_not_found']
  }),
  blockUser: defineRoute({
    method: 'PUT',
    path: '/users/{user_id}/block',
    tag: 'people',
    summary: 'Hear no more from a person in direct conversations.',
    params: OfUser,
    replies: { 204: null },
    errors: ['user_not_found', 'self_conversation', 'blocks_full']
  }),
  unblockUser: defineRoute({
    method: 'DELETE',
    path: '/users/{user_id}/block',
    tag: 'people',
    summary: 'Hear from a person again.',
    params: OfUser,
    replies: { 204: null },
    errors: ['user_not_found', 'self_conversation']
  }),
  listBlocks: defineRoute({
    method: 'GET',
    path: '/me/blocks',
    tag: 'people',
    summary: 'List whom I have blocked, the latest first.',
    replies: { 200: Blocks },
    errors: []
  })
}
