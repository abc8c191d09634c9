import { type Kysely, sql } from '@parley/pg-kit'
import type { Tables } from '../db.ts'

export interface Project {
  id: string
  org_id: string
  name: string | null
  description: string | null
  created_at: string
  updated_at: string
}

/** A project of one organization, by its id. */
export async function findProject(db: Kysely<Tables>, org_id: string, project_id: string): Promise<Project | undefined> {
  return db.selectFrom('projects').selectAll().where('org_id', '=', org_id).where('id', '=', project_id).executeTakeFirst()
}

/**
 * Holds a project to the end of the transaction, so that nobody comes into it or goes meanwhile: for whoever makes a
 * conversation of its members, before they are read. Many may hold it at once.
 *
 * @returns false where the organization has no such project
 */
export async function holdProject(db: Kysely<Tables>, org_id: string, project_id: string): Promise<boolean> {
  const { rows } = await sql`select from projects where org_id = ${org_id} and id = ${project_id} for share`.execute(db)
  return rows.length > 0
}

/** Who is in a project, in the order of their ids; not whom the host application has deactivated. */
export async function membersOf(db: Kysely<Tables>, org_id: string, project_id: string): Promise<string[]> {
  const { rows } = await sql<{ user_id: string }>`
    select m.user_id from project_members m join users u on u.org_id = m.org_id and u.id = m.user_id
    where m.org_id = ${org_id} and m.project_id = ${project_id} and u.deactivated_at is null order by m.user_id`.execute(db)
  return rows.map(row => row.user_id)
}

export async function isMember(db: Kysely<Tables>, org_id: string, project_id: string, user_id: string): Promise<boolean> {
  const row = await db
    .selectFrom('project_members')
    .select('user_id')
    .where('org_id', '=', org_id)
    .where('project_id', '=', project_id)
    .where('user_id', '=', user_id)
    .executeTakeFirst()
  return row !== undefined
}

/** Holds a project alone, to the end of the transaction: for whoever changes who is in it. */
export async function lockProject(db: Kysely<Tables>, org_id: string, project_id: string): Promise<void> {
  await sql`select from projects where org_id = ${org_id} and id = ${project_id} for no key update`.execute(db)
}

/** Creates a project, or brings it up to date: undefined is what stays as it was. */
export async function putProject(
  db: Kysely<Tables>,
  { org_id, id, name, description }: { org_id: string; id: string; name: string | null | undefined; description: string | null | undefined }
): Promise<Project> {
  return db
    .insertInto('projects')
    .values({ org_id, id, name: name ?? null, description: description ?? null })
    .onConflict(conflict =>
      conflict.columns(['org_id', 'id']).doUpdateSet({
        updated_at: sql<string>`now()`,
        ...(name !== undefined && { name }),
        ...(description !== undefined && { description })
      })
    )
    .returningAll()
    .executeTakeFirstOrThrow()
}

interface Member {
  org_id: string
  project_id: string
  user_id: string
}

/** @returns false where they were a member already */
export async function insertMember(db: Kysely<Tables>, { org_id, project_id, user_id }: Member): Promise<boolean> {
  const { rows } = await sql`
    insert into project_members (org_id, project_id, user_id) values (${org_id}, ${project_id}, ${user_id})
    on conflict do nothing returning user_id`.execute(db)
  return rows.length > 0
}

/** @returns false where they were no member */
export async function deleteMember(db: Kysely<Tables>, { org_id, project_id, user_id }: Member): Promise<boolean> {
  const { rows } = await sql`
    delete from project_members where org_id = ${org_id} and project_id = ${project_id} and user_id = ${user_id}
    returning user_id`.execute(db)
  return rows.length > 0
}

/**
 * A project's conversations, in the order of their ids, that a person is not in though they are coming, or is in though
 * they are going. Uses conversations_project.
 */
export async function unsettledConversations(
  db: Kysely<Tables>,
  { org_id, project_id, user_id }: Member,
  isComing: boolean
): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select c.id from conversations c
    left join participants p on p.conversation_id = c.id and p.user_id = ${user_id}
    where c.org_id = ${org_id} and c.project_id = ${project_id} and c.type = 'project' and coalesce(p.is_active, false) <> ${isComing}
    order by c.id`.execute(db)
  return rows.map(row => row.id)
}
