import { createHmac, randomUUID } from 'node:crypto'
import type { Profile } from '@parley/contracts'

/** Somebody who takes part in a test. */
export interface Person {
  id: string
  org_id: string
  name: string
  username: string
  role: Profile['role']
}

/** Makes a person with an id of their own, in an organization of their own where none is named. */
export function person({
  name = 'Ada',
  org_id = randomUUID(),
  role = 'member'
}: {
  name?: string
  org_id?: string
  role?: Person['role']
} = {}): Person {
  return { id: randomUUID(), org_id, name, username: name.toLowerCase().replaceAll(/\s+/g, '.'), role }
}

/** Makes several people of one organization, by their names. */
export function colleagues<const N extends readonly string[]>(...names: N): { [K in keyof N]: Person } {
  const org_id = randomUUID()
  return names.map(name => person({ name, org_id })) as { [K in keyof N]: Person }
}

/** Who asks, as the gateway makes it from a checked token. */
export const actorOf = ({ id, org_id, role }: Person): { user_id: string; org_id: string; role: string } => ({ user_id: id, org_id, role })

/** The profile that a person's token carries, as the gateway hands it on. */
export const profileOf = ({ id, org_id, name, username, role }: Person): Profile => ({
  id,
  org_id,
  org_name: 'Example',
  username,
  display_name: name,
  title: null,
  department: null,
  avatar_url: null,
  email: null,
  role
})

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')

/** Signs a token (HS256) as the host application would; further claims win over those of the person. */
export function signToken(
  { id, org_id, name, username, role }: Person,
  { secret, expires_in_seconds = 3_600, ...claims }: { secret: string; expires_in_seconds?: number; [claim: string]: unknown }
): string {
  const now = Math.floor(Date.now() / 1000)
  const payload = { sub: id, org_id, name, username, role, iat: now, exp: now + expires_in_seconds, ...claims }
  const signed = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(payload)}`
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
}
