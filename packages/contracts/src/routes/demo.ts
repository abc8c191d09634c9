import { Type } from '@sinclair/typebox'
import { defineRoute } from '../define.ts'
import { Organization, User } from '../directory.ts'
import { Count, Id, strict } from '../fields.ts'
import { TOKEN_MAX } from '../frames.ts'

/** Sign-in as one of the people of the demo. */
export const demoRoutes = {
  demoPeople: defineRoute({
    method: 'GET',
    path: '/demo/people',
    tag: 'demo',
    summary: 'List the people of the demo organization. Only where `demo` is on.',
    public: true,
    replies: { 200: Type.Object({ organization: Organization, people: Type.Array(User) }) },
    errors: ['not_found']
  }),
  demoSignIn: defineRoute({
    method: 'POST',
    path: '/demo/sign-in',
    tag: 'demo',
    summary: 'Give a token of a person of the demo organization. Only where `demo` is on.',
    public: true,
    body: Type.Object({ user_id: Id }, strict),
    replies: { 200: Type.Object({ token: Type.String({ maxLength: TOKEN_MAX }), expires_in_seconds: Count }) },
    errors: ['not_found', 'user_not_found']
  })
}
