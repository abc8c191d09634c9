import { type Static, Type } from '@sinclair/typebox'
import { defineEvent, defineRequest } from './define.ts'
import { Actor, Count, Id, Nullable, OneOf, strict } from './fields.ts'

export const NAME_MAX = 200
const text = (maxLength: number) => Nullable(Type.String({ maxLength }))

/** The organization of the demo; people of it can be signed in as where the demo is on. */
export const DEMO_ORG_ID = '0de0a11e-0000-5000-8000-000000000001'

export const Role = OneOf('member', 'moderator', 'admin', 'service')

export const Organization = Type.Object({ id: Id, name: Type.String({ maxLength: NAME_MAX }) }, { $id: 'Organization' })
export type Organization = Static<typeof Organization>

export const User = Type.Object(
  {
    id: Id,
    org_id: Id,
    username: Type.String({ maxLength: NAME_MAX }),
    display_name: Type.String({ maxLength: NAME_MAX }),
    title: text(NAME_MAX),
    department: text(NAME_MAX),
    avatar_url: text(2_000),
    role: Role,
    organization: Organization
  },
  { $id: 'User' }
)
export type User = Static<typeof User>

/** What a token says of a person; null is what it does not say, and stays as it was. */
export const Profile = Type.Object({
  id: Id,
  org_id: Id,
  org_name: text(NAME_MAX),
  username: text(NAME_MAX),
  display_name: Type.String({ maxLength: NAME_MAX }),
  title: text(NAME_MAX),
  department: text(NAME_MAX),
  avatar_url: text(2_000),
  email: text(320),
  role: Role
})
export type Profile = Static<typeof Profile>

/** A profile with the time of the token that says it, in seconds since 1970. */
export const Presented = Type.Composite([Profile, Type.Object({ issued_at: Type.Optional(Nullable(Type.Integer())) })])
export type Presented = Static<typeof Presented>

export const EnsureUsers = defineRequest('users.ensure', {
  summary: 'Create or refresh the people and organizations that checked tokens name. May be repeated.',
  request: Type.Object({ users: Type.Array(Presented, { maxItems: 500 }) }, strict),
  reply: Type.Object({
    ensured: Count,
    refused: Type.Optional(
      Type.Array(Type.Object({ user_id: Id, org_id: Id }), {
        description: 'Who was erased, or deactivated after their token was issued: a newer one brings the deactivated back.'
      })
    )
  })
})

/** What a socket needs to be ready: every conversation of the person, with its version and unread count. */
export const LiveState = Type.Object({
  user_id: Id,
  org_id: Id,
  refused: Type.Optional(Type.Boolean({ description: 'As by users.ensure.' })),
  unread_total: Count,
  conversations: Type.Array(
    Type.Object({
      id: Id,
      version: Count,
      unread_count: Count,
      hidden: Type.Optional(
        Type.Array(Type.Tuple([Count, Count]), { description: 'What was said while they were away, from one seq to another.' })
      )
    })
  )
})
export type LiveState = Static<typeof LiveState>

export const OpenUsers = defineRequest('users.open', {
  summary: 'Tell the conversations, versions and unread counts of people who connect; many in one question.',
  request: Type.Object(
    {
      users: Type.Array(Type.Object({ user_id: Id, org_id: Id }), { maxItems: 200 }),
      profiles: Type.Optional(
        Type.Array(Presented, { maxItems: 200, description: 'People to create or refresh before the answer, as by users.ensure.' })
      )
    },
    strict
  ),
  reply: Type.Object({ states: Type.Array(LiveState) }),
  timeoutMs: 5_000
})

export const ListUsers = defineRequest('users.list', {
  summary: "List people of the caller's organization by name.",
  request: Type.Object({
    actor: Actor,
    q: Type.Optional(Type.String({ maxLength: NAME_MAX })),
    limit: Type.Integer({ minimum: 1, maximum: 100 })
  }),
  reply: Type.Object({ users: Type.Array(User) })
})

export const GetUser = defineRequest('users.get', {
  summary: "Read one person of the caller's organization.",
  request: Type.Object({ actor: Actor, user_id: Id }),
  reply: User,
  errors: ['user_not_found']
})

/** What the host application says of a person. What is left out stays as it was; null is nothing. */
export const PutUserBody = Type.Object(
  {
    display_name: Type.Optional(Type.String({ minLength: 1, maxLength: NAME_MAX })),
    name: Type.Optional(Type.String({ minLength: 1, maxLength: NAME_MAX, description: 'The same as `display_name`, as tokens call it.' })),
    username: Type.Optional(Type.String({ minLength: 1, maxLength: NAME_MAX })),
    title: Type.Optional(text(NAME_MAX)),
    department: Type.Optional(text(NAME_MAX)),
    avatar_url: Type.Optional(text(2_000)),
    email: Type.Optional(text(320)),
    role: Type.Optional(Role)
  },
  strict
)

export const PutUser = defineRequest('users.put', {
  summary: 'Create a person, bring them up to date, or have a deactivated one back. For the host application.',
  request: Type.Object({ actor: Actor, user_id: Id, ...PutUserBody.properties }),
  reply: User,
  errors: ['forbidden', 'invalid_request', 'invalid_text', 'user_erased']
})

/** May be repeated. They stay in conversations and histories under their name. */
export const DeactivateUser = defineRequest('users.deactivate', {
  summary: 'Take a person out of the directory: they are not found, written to or added any more. For the host application.',
  request: Type.Object({ actor: Actor, user_id: Id }),
  reply: Type.Object({ deactivated: Type.Boolean() }),
  errors: ['forbidden', 'user_not_found']
})

/** Tells gateways to end the sockets of a person and to forget that they are known. May be lost: tokens end by themselves. */
export const UserDeactivated = defineEvent('eph.deactivations', {
  name: 'UserDeactivated',
  summary: 'A person was deactivated by the host application.',
  payload: Type.Object({ user_id: Id, org_id: Id })
})

export const Settings = Type.Record(Type.String({ maxLength: 64 }), Type.Unknown(), { maxProperties: 100 })

export const Me = Type.Object({ user: User, organization: Organization, unread_count: Count, settings: Settings }, { $id: 'Me' })

export const GetMe = defineRequest('users.me', {
  summary: "Read the caller's own profile, unread total and settings.",
  request: Type.Object({ actor: Actor }),
  reply: Me,
  errors: ['user_not_found']
})

export const UpdateMe = defineRequest('users.update_me', {
  summary: "Keep the caller's settings, which follow the person across devices.",
  request: Type.Object({ actor: Actor, settings: Settings }),
  reply: Me,
  errors: ['user_not_found', 'invalid_request']
})
