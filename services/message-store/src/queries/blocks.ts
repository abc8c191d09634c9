import { type Kysely, sql } from '@parley/pg-kit'
import type { Tables } from '../db.ts'

/** Whether either of two people has blocked the other. Two probes of the primary key. */
export async function isBlockedBetween(db: Kysely<Tables>, org_id: string, one: string, other: string): Promise<boolean> {
  const { rows } = await sql`
    select from blocks
    where org_id = ${org_id} and (blocker_id, blocked_id) in ((${one}::uuid, ${other}::uuid), (${other}::uuid, ${one}::uuid)) limit 1`.execute(
    db
  )
  return rows.length > 0
}
