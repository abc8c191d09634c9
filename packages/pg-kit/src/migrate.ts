import { Kysely, PostgresDialect } from 'kysely'
import { type Migration, Migrator } from 'kysely/migration'
import pg from 'pg'

/**
 * Brings a schema to its newest migration, as the owner, under an advisory lock: many may call it at once.
 *
 * @returns the names of the migrations that were run
 */
export async function migrate({
  url,
  schema,
  migrations
}: {
  url: string
  schema: string
  migrations: Record<string, Migration>
}): Promise<string[]> {
  const db = new Kysely<unknown>({
    dialect: new PostgresDialect({ pool: new pg.Pool({ connectionString: url, max: 2, connectionTimeoutMillis: 10_000 }) })
  })
  try {
    const migrator = new Migrator({
      db,
      provider: { getMigrations: async () => migrations },
      migrationTableSchema: schema,
      migrationTableName: 'migrations',
      migrationLockTableName: 'migration_lock'
    })
    const { error, results } = await migrator.migrateToLatest()
    if (error) throw error
    return (results ?? []).map(result => result.migrationName)
  } finally {
    await db.destroy()
  }
}
