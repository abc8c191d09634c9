import { sql } from 'kysely'
import type { Database } from './database.ts'

interface Rule {
  isSafe: (value: string) => boolean
  why: string
  fix: string
}

const isOn = (value: string): boolean => value === 'on'

/** `full_page_writes` and checksums are about the disk: what was written is found torn or changed, and nobody notices. */
const RULES: Record<string, Rule> = {
  // `local` and `remote_write` flush here as well; only `off` answers before the disk.
  synchronous_commit: {
    isSafe: value => value !== 'off',
    why: 'a commit is answered before it is on the disk, and any crash of the server takes the last ones with it',
    fix: 'set synchronous_commit = on for the server, and for the role and database that the service uses, and connect anew'
  },
  fsync: {
    isSafe: isOn,
    why: 'a crash of the machine loses commits and may leave the database beyond repair',
    fix: 'set fsync = on in postgresql.conf and reload'
  },
  full_page_writes: {
    isSafe: isOn,
    why: 'a crash of the machine in the middle of a write leaves a torn page that recovery cannot mend',
    fix: 'set full_page_writes = on in postgresql.conf and reload'
  },
  data_checksums: {
    isSafe: isOn,
    why: 'what the disk changes by itself is given out as if it had been said',
    fix: 'stop the server and run pg_checksums --enable'
  }
}

/**
 * The settings with which PostgreSQL may lose what it has committed, as the service's own sessions have them.
 *
 * @throws AppError unavailable where the database is away
 */
export async function unsafePostgres<DB>(database: Database<DB>): Promise<{ setting: string; value: string; why: string; fix: string }[]> {
  const { rows } = await database.query(db =>
    sql<{ name: string; setting: string }>`select name, setting from pg_settings where name = any(${Object.keys(RULES)}::text[])`.execute(
      db
    )
  )
  const values = new Map(rows.map(({ name, setting }) => [name, setting]))
  return Object.entries(RULES)
    .map(([setting, { isSafe, why, fix }]) => ({ setting, value: values.get(setting) ?? 'unknown', isSafe, why, fix }))
    .filter(({ value, isSafe }) => value === 'unknown' || !isSafe(value))
    .map(({ isSafe: _, ...unsafe }) => unsafe)
}
