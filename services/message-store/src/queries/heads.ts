import { type Kysely, sql } from '@parley/pg-kit'
import type { Tables } from '../db.ts'

/** The version of each conversation that exists. */
export async function headsOf(db: Kysely<Tables>, conversation_ids: readonly string[]): Promise<{ id: string; version: number }[]> {
  const { rows } = await sql<{
    id: string
    version: number
  }>`select id, version from conversations where id = any(${conversation_ids}::uuid[])`.execute(db)
  return rows
}

/** The version of each conversation that a person is in. */
export async function myHeads(
  db: Kysely<Tables>,
  { user_id, org_id }: { user_id: string; org_id: string }
): Promise<{ id: string; version: number }[]> {
  const { rows } = await sql<{ id: string; version: number }>`
    select c.id, c.version from participants p join conversations c on c.id = p.conversation_id
    where p.user_id = ${user_id} and p.org_id = ${org_id} and p.is_active`.execute(db)
  return rows
}
