import type { User } from '@parley/contracts'
import { type Kysely, sql } from '@parley/pg-kit'
import type { Tables } from '../db.ts'
import { findUsers } from './people.ts'

interface Blocker {
  user_id: string
  org_id: string
}

/** Whether either of two people has blocked the other. Two probes of the primary key. */
export async function isBlockedBetween(db: Kysely<Tables>, org_id: string, one: string, other: string): Promise<boolean> {
  const { rows } = await sql`
    select from blocks
    where org_id = ${org_id} and (blocker_id, blocked_id) in ((${one}::uuid, ${other}::uuid), (${other}::uuid, ${one}::uuid))
    limit 1`.execute(db)
  return rows.length > 0
}

/** @returns false where it stood already */
export async function insertBlock(db: Kysely<Tables>, { user_id, org_id }: Blocker, blocked_id: string): Promise<boolean> {
  const { rows } = await sql`
    insert into blocks (org_id, blocker_id, blocked_id) values (${org_id}, ${user_id}, ${blocked_id})
    on conflict do nothing returning blocked_id`.execute(db)
  return rows.length > 0
}

/** @returns false where there was none */
export async function deleteBlock(db: Kysely<Tables>, { user_id, org_id }: Blocker, blocked_id: string): Promise<boolean> {
  const { rows } = await sql`
    delete from blocks where org_id = ${org_id} and blocker_id = ${user_id} and blocked_id = ${blocked_id} returning blocked_id`.execute(db)
  return rows.length > 0
}

export async function countBlocks(db: Kysely<Tables>, { user_id, org_id }: Blocker): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select count(*) as count from blocks where org_id = ${org_id} and blocker_id = ${user_id}`.execute(db)
  return rows[0]!.count
}

/** Whom a person has blocked, the latest first. */
export async function listBlocked(db: Kysely<Tables>, { user_id, org_id }: Blocker, limit: number): Promise<User[]> {
  const { rows } = await sql<{ blocked_id: string }>`
    select blocked_id from blocks where org_id = ${org_id} and blocker_id = ${user_id}
    order by created_at desc, blocked_id limit ${limit}`.execute(db)
  const users = new Map(
    (
      await findUsers(
        db,
        org_id,
        rows.map(row => row.blocked_id)
      )
    ).map(user => [user.id, user])
  )
  return rows.map(row => users.get(row.blocked_id)).filter(user => user !== undefined)
}
