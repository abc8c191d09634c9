import { AppError, DEMO_ORG_ID, GetUser, ListUsers, ROUTES } from '@parley/contracts'
import type { Bus } from '@parley/nats-kit'
import type { Routes } from '../call.ts'
import type { Config } from '../config.ts'
import { signToken } from '../tokens.ts'

const TOKEN_SECONDS = 12 * 3_600
/** Asks as nobody in particular, of the demo's organization alone. */
const GUEST = { user_id: '00000000-0000-0000-0000-000000000000', org_id: DEMO_ORG_ID, role: 'member' }

/** Sign-in as one of the demo's people. Only opened where the demo is on; nobody else can be signed in as. */
export function demo(route: Routes, bus: Bus, { JWT_SECRET_KEY, JWT_ISSUER, JWT_AUDIENCE }: Config): void {
  const issued = { ...(JWT_ISSUER && { iss: JWT_ISSUER }), ...(JWT_AUDIENCE && { aud: JWT_AUDIENCE }) }

  route(ROUTES.demoPeople, async () => {
    const { users } = await bus.request(ListUsers, { actor: GUEST, limit: 100 })
    const organization = users[0]?.organization
    if (!organization) throw new AppError('not_found', 'the demo has no people yet')
    return { organization, people: users }
  })

  route(ROUTES.demoSignIn, async ({ body }) => {
    const user = await bus.request(GetUser, { actor: GUEST, user_id: body.user_id })
    const { id: sub, org_id, display_name: name, username, role } = user
    const now = Math.floor(Date.now() / 1_000)
    const claims = { sub, org_id, name, username, role, ...issued, iat: now, exp: now + TOKEN_SECONDS }
    return { token: signToken(claims, JWT_SECRET_KEY), expires_in_seconds: TOKEN_SECONDS }
  })
}
