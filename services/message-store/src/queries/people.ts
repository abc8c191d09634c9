import type { Profile, User } from '@parley/contracts'
import { type Kysely, sql } from '@parley/pg-kit'
import type { Tables } from '../db.ts'

interface UserRow extends Omit<User, 'organization'> {
  org_name: string
}

const USER_COLUMNS = sql`u.id, u.org_id, u.username, u.display_name, u.title, u.department, u.avatar_url, u.role, o.name as org_name`

const toUser = ({ org_name, ...user }: UserRow): User => ({ ...user, organization: { id: user.org_id, name: org_name } })

/** People of one organization by their ids; who is not there is left out. */
export async function findUsers(db: Kysely<Tables>, org_id: string, ids: readonly string[]): Promise<User[]> {
  const { rows } = await sql<UserRow>`
    select ${USER_COLUMNS} from users u join organizations o on o.id = u.org_id
    where u.org_id = ${org_id} and u.id = any(${ids}::uuid[])`.execute(db)
  return rows.map(toUser)
}

/** People of one organization by a part of their name, by name. */
export async function searchUsers(db: Kysely<Tables>, org_id: string, q: string | undefined, limit: number): Promise<User[]> {
  const pattern = q === undefined || q === '' ? null : `%${escapeLike(q)}%`
  const { rows } = await sql<UserRow>`
    select ${USER_COLUMNS} from users u join organizations o on o.id = u.org_id
    where u.org_id = ${org_id} and (${pattern}::text is null or u.display_name ilike ${pattern} or u.username ilike ${pattern})
    order by lower(u.display_name), u.id
    limit ${limit}`.execute(db)
  return rows.map(toUser)
}

export const escapeLike = (text: string): string => text.replace(/[\\%_]/g, '\\$&')

/**
 * Those of some profiles that the tables do not have so yet, each person once and in the order of their ids. Nearly always
 * none: people come back far more often than they are new or change their names. One index probe a person, also where the
 * planner would read the table (640 µs of a backend for 7 people among 3,200, 250 like this).
 */
export async function newsOf(db: Kysely<Tables>, profiles: readonly Profile[]): Promise<Profile[]> {
  // One row of a statement may be touched once; of two profiles of one person the later one stands.
  const unique = [...new Map(profiles.map(p => [p.org_id + p.id, p])).values()].sort((a, b) => (a.org_id + a.id < b.org_id + b.id ? -1 : 1))
  const { rows } = await sql<{ place: number }>`
    select x.place::integer from ${unnest(unique)}
    left join lateral (select * from users where org_id = x.org_id and id = x.id offset 0) u on true
    left join organizations o on o.id = x.org_id
    where u.id is null or o.name <> x.org_name or ${DIFFERS}
    order by x.place`.execute(db)
  return rows.map(({ place }) => unique[place - 1]!)
}

/**
 * Creates people and organizations, or brings their profiles up to date. Rows are locked in the order of their ids, and
 * only those that differ are written.
 *
 * @param profiles each person once, in the order of their ids
 */
export async function upsertUsers(db: Kysely<Tables>, profiles: readonly Profile[]): Promise<void> {
  const organizations = [...new Map(profiles.map(p => [p.org_id, p.org_name])).entries()]
  await sql`
    insert into organizations (id, name)
    select id, coalesce(name, 'Organization') from unnest(${organizations.map(([id]) => id)}::uuid[], ${organizations.map(([, name]) => name)}::text[]) as x (id, name)
    on conflict (id) do nothing`.execute(db)
  await sql`
    update organizations o set name = x.name
    from unnest(${organizations.map(([id]) => id)}::uuid[], ${organizations.map(([, name]) => name)}::text[]) as x (id, name)
    where o.id = x.id and x.name is not null and o.name <> x.name`.execute(db)
  await sql`
    insert into users (org_id, id, username, display_name, title, department, avatar_url, email, role)
    select org_id, id, coalesce(username, display_name), display_name, title, department, avatar_url, email, role from ${unnest(profiles)}
    on conflict (org_id, id) do nothing`.execute(db)
  await sql`
    update users u set username = coalesce(x.username, u.username), display_name = x.display_name, title = coalesce(x.title, u.title),
      department = coalesce(x.department, u.department), avatar_url = coalesce(x.avatar_url, u.avatar_url), email = coalesce(x.email, u.email),
      role = x.role, updated_at = now()
    from ${unnest(profiles)}
    where u.org_id = x.org_id and u.id = x.id and ${DIFFERS}`.execute(db)
}

/** Profiles as the rows of `x`, with the place of each from 1. Subqueries, so that one plan serves any number of them. */
function unnest(profiles: readonly Profile[]) {
  const ids = (key: keyof Profile) => sql`(select ${profiles.map(profile => profile[key])}::uuid[])`
  const texts = (key: keyof Profile) => sql`(select ${profiles.map(profile => profile[key])}::text[])`
  return sql`unnest(
      ${ids('org_id')}, ${ids('id')}, ${texts('org_name')}, ${texts('username')}, ${texts('display_name')}, ${texts('title')},
      ${texts('department')}, ${texts('avatar_url')}, ${texts('email')}, ${texts('role')}
    ) with ordinality as x (org_id, id, org_name, username, display_name, title, department, avatar_url, email, role, place)`
}

/** A person `u` is not as the profile `x` says; what a profile does not say stays as it was. */
const DIFFERS = sql`(u.username, u.display_name, u.title, u.department, u.avatar_url, u.email, u.role) is distinct from (
        coalesce(x.username, u.username), x.display_name, coalesce(x.title, u.title), coalesce(x.department, u.department),
        coalesce(x.avatar_url, u.avatar_url), coalesce(x.email, u.email), x.role)`

export async function readSettings(
  db: Kysely<Tables>,
  { user_id, org_id }: { user_id: string; org_id: string }
): Promise<Record<string, unknown>> {
  const row = await db.selectFrom('users').select('settings').where('org_id', '=', org_id).where('id', '=', user_id).executeTakeFirst()
  return row?.settings ?? {}
}

export async function writeSettings(
  db: Kysely<Tables>,
  { user_id, org_id }: { user_id: string; org_id: string },
  settings: string
): Promise<void> {
  await db.updateTable('users').set({ settings }).where('org_id', '=', org_id).where('id', '=', user_id).execute()
}
