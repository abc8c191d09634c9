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

/** Who is in a project, in the order of their ids. */
export async function membersOf(db: Kysely<Tables>, org_id: string, project_id: string): Promise<string[]> {
  const rows = await db
    .selectFrom('project_members')
    .select('user_id')
    .where('org_id', '=', org_id)
    .where('project_id', '=', project_id)
    .orderBy('user_id')
    .execute()
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
