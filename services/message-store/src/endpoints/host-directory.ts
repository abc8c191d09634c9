import { AppError, cleanName, DeactivateUser, NAME_MAX, PutUser, UserDeactivated } from '@parley/contracts'
import { deactivateUser, findUsers, putUser } from '../queries/people.ts'
import { requireService } from '../rules.ts'
import type { Store } from '../store.ts'

const EMAIL_MAX = 320
const URL_MAX = 2_000

/** People as the host application keeps them in step, within its own organization. */
export function hostDirectory({ bus, store }: Store): void {
  bus.serve(PutUser, ({ actor, user_id, display_name, name, username, title, department, avatar_url, email, role }) => {
    requireService(actor)
    const { org_id } = actor
    return store.transaction(async db => {
      const isKnown = await putUser(db, {
        id: user_id,
        org_id,
        display_name: required(display_name ?? name, 'display_name'),
        username: username === undefined ? undefined : required(username, 'username'),
        title: optional(title, 'title', NAME_MAX),
        department: optional(department, 'department', NAME_MAX),
        avatar_url: optional(avatar_url, 'avatar_url', URL_MAX),
        email: optional(email, 'email', EMAIL_MAX),
        role
      })
      if (!isKnown) throw new AppError('user_erased', 'this person was erased: give them another id')
      const [user] = await findUsers(db, org_id, [user_id])
      return user!
    })
  })

  bus.serve(DeactivateUser, async ({ actor, user_id }) => {
    requireService(actor)
    const { org_id } = actor
    const isThere = await store.query(db => deactivateUser(db, org_id, user_id))
    if (!isThere) throw new AppError('user_not_found', `no person ${user_id}`)
    bus.publish(UserDeactivated, {}, { user_id, org_id })
    return { deactivated: true }
  })
}

/** @throws AppError invalid_request where nothing is left of it, invalid_text */
function required(value: string | undefined, field: string): string {
  const clean = value === undefined ? '' : cleanName(value, field, NAME_MAX)
  if (clean === '') {
    const message = value === undefined ? 'is missing' : 'has nothing that can be seen'
    throw new AppError('invalid_request', `${field} ${message}`, { errors: [{ path: `/${field}`, message }] })
  }
  return clean
}

function optional(value: string | null | undefined, field: string, max: number): string | null | undefined {
  return typeof value === 'string' ? cleanName(value, field, max) || null : value
}
