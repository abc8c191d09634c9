import { type Kysely, sql } from '@parley/pg-kit'
import type { Tables } from '../db.ts'

/** Brings the planner's picture of the tables up to date. */
export async function analyzeMessages(db: Kysely<Tables>): Promise<void> {
  await sql`analyze messages, conversations, participants, users, read_markers`.execute(db)
}
