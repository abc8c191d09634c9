import type { Presented, User } from '@parley/contracts'
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

/** As `findUsers`, of those alone who may be written to and added: whom the host application has deactivated is not there. */
export async function findActiveUsers(db: Kysely<Tables>, org_id: string, ids: readonly string[]): Promise<User[]> {
  const { rows } = await sql<UserRow>`
    select ${USER_COLUMNS} from users u join organizations o on o.id = u.org_id
    where u.org_id = ${org_id} and u.id = any(${ids}::uuid[]) and u.deactivated_at is null`.execute(db)
  return rows.map(toUser)
}

/**
 * The ids of people of one organization by a part of their name, those first whose name begins with it, else by name.
 * Among 100,000 people a few milliseconds at most. For the service's own role: under row-level security no index finds
 * parts of names, since their operators are not among those that may look at rows before it.
 */
export async function searchPeople(db: Kysely<Tables>, org_id: string, q: string | undefined, limit: number): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select f.id from find_people(${org_id}::uuid, ${q?.trim() || null}::text, ${limit}::integer) with ordinality as f (id, place)
    order by f.place`.execute(db)
  return rows.map(row => row.id)
}

export interface HostProfile {
  id: string
  org_id: string
  /** Of these, undefined is what stays as it was. */
  display_name: string
  username: string | undefined
  title: string | null | undefined
  department: string | null | undefined
  avatar_url: string | null | undefined
  email: string | null | undefined
  role: User['role'] | undefined
}

/**
 * Writes what the host application says of a person, who is active by it.
 *
 * @returns false where the person was erased: they stay so
 */
export async function putUser(db: Kysely<Tables>, { id, org_id, ...profile }: HostProfile): Promise<boolean> {
  const said = Object.fromEntries(Object.entries(profile).filter(([, value]) => value !== undefined))
  const { numInsertedOrUpdatedRows } = await db
    .insertInto('users')
    .values({
      id,
      org_id,
      ...profile,
      username: profile.username ?? profile.display_name,
      title: profile.title ?? null,
      department: profile.department ?? null,
      avatar_url: profile.avatar_url ?? null,
      email: profile.email ?? null,
      role: profile.role ?? 'member',
      deactivated_at: null
    })
    .onConflict(conflict =>
      conflict
        .columns(['org_id', 'id'])
        .doUpdateSet({ ...said, deactivated_at: null, updated_at: sql<string>`now()` })
        .where('users.erased_at', 'is', null)
    )
    .executeTakeFirstOrThrow()
  return numInsertedOrUpdatedRows === 1n
}

/** @returns false where the organization has no such person; one who is deactivated stays so since when they were */
export async function deactivateUser(db: Kysely<Tables>, org_id: string, id: string): Promise<boolean> {
  const { rows } = await sql`
    update users set deactivated_at = coalesce(deactivated_at, now()) where org_id = ${org_id} and id = ${id} returning id`.execute(db)
  return rows.length > 0
}

export const escapeLike = (text: string): string => text.replace(/[\\%_]/g, '\\$&')

/**
 * Those of some profiles that the tables do not have so yet, each person once and in the order of their ids; beside them those
 * whom a token does not bring back: who was erased, or deactivated after it was issued, or it does not say when that was.
 * Nearly always none: people come back far more often than they are new or change their names. One index probe a person, also where the
 * planner would read the table (640 µs of a backend for 7 people among 3,200, 250 like this).
 */
export async function newsOf(db: Kysely<Tables>, profiles: readonly Presented[]): Promise<{ news: Presented[]; refused: Presented[] }> {
  // One row of a statement may be touched once; of two profiles of one person the later one stands.
  const unique = [...new Map(profiles.map(p => [p.org_id + p.id, p])).values()].sort((a, b) => (a.org_id + a.id < b.org_id + b.id ? -1 : 1))
  const { rows } = await sql<{ place: number; is_refused: boolean }>`
    select x.place::integer,
      u.erased_at is not null or coalesce(u.deactivated_at >= coalesce(to_timestamp(x.issued_at), '-infinity'), false) as is_refused
    from ${unnest(unique)}
    left join lateral (select * from users where org_id = x.org_id and id = x.id offset 0) u on true
    left join organizations o on o.id = x.org_id
    where u.id is null or u.erased_at is not null or u.deactivated_at is not null or o.name <> x.org_name or ${DIFFERS}
    order by x.place`.execute(db)
  const those = (isRefused: boolean) => rows.filter(row => row.is_refused === isRefused).map(({ place }) => unique[place - 1]!)
  return { news: those(false), refused: those(true) }
}

/**
 * Creates people and organizations, or brings their profiles up to date. Rows are locked in the order of their ids, and
 * only those that differ are written.
 *
 * @param profiles each person once, in the order of their ids
 */
export async function upsertUsers(db: Kysely<Tables>, profiles: readonly Presented[]): Promise<void> {
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
      role = x.role, deactivated_at = null, updated_at = now()
    from ${unnest(profiles)}
    where u.org_id = x.org_id and u.id = x.id and u.erased_at is null and (u.deactivated_at is not null or ${DIFFERS})`.execute(db)
}

/** Profiles as the rows of `x`, with the place of each from 1. Subqueries, so that one plan serves any number of them. */
function unnest(profiles: readonly Presented[]) {
  const ids = (key: keyof Presented) => sql`(select ${profiles.map(profile => profile[key])}::uuid[])`
  const texts = (key: keyof Presented) => sql`(select ${profiles.map(profile => profile[key])}::text[])`
  return sql`unnest(
      ${ids('org_id')}, ${ids('id')}, ${texts('org_name')}, ${texts('username')}, ${texts('display_name')}, ${texts('title')},
      ${texts('department')}, ${texts('avatar_url')}, ${texts('email')}, ${texts('role')},
      (select ${profiles.map(({ issued_at }) => issued_at ?? null)}::bigint[])
    ) with ordinality as x (org_id, id, org_name, username, display_name, title, department, avatar_url, email, role, issued_at, place)`
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
