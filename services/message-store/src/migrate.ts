import { migrate } from '@parley/pg-kit'
import { installQueue } from './jobs/queue.ts'
import { migrations } from './migrations/index.ts'

// Brings the schema to its newest version and ends: run before the services start, by the owner of the database.
const url = process.env.DATABASE_URL
if (!url) {
  process.stderr.write('DATABASE_URL is not set: it names the database to migrate.\n')
  process.exit(1)
}
try {
  const done = await migrate({ url, schema: 'messaging', migrations })
  await installQueue(url)
  process.stdout.write(done.length > 0 ? `migrated: ${done.join(', ')}\n` : 'nothing to migrate\n')
} catch (error) {
  process.stderr.write(`the migration failed: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exit(1)
}
