import { readFileSync } from 'node:fs'
import { type Kysely, type Migration, sql } from '@parley/pg-kit'

/** Every migration by name, in order; forward only, each safe while the version before it still runs. */
export const migrations: Record<string, Migration> = {
  '001-messaging': fromFile('001-messaging.sql'),
  '002-membership': fromFile('002-membership.sql'),
  '003-send-one': fromFile('003-send-one.sql'),
  '005-conversation-settings': fromFile('005-conversation-settings.sql'),
  '006-directory': fromFile('006-directory.sql'),
  '007-search': fromFile('007-search.sql'),
  '008-reactions-and-pins': fromFile('008-reactions-and-pins.sql'),
  '009-people': fromFile('009-people.sql'),
  '010-send-rules': fromFile('010-send-rules.sql'),
  '011-scheduled': fromFile('011-scheduled.sql'),
  '012-jobs': fromFile('012-jobs.sql'),
  '013-search-windows': fromFile('013-search-windows.sql')
}

function fromFile(name: string): Migration {
  const text = readFileSync(new URL(name, import.meta.url), 'utf8')
  return {
    async up(db: Kysely<unknown>) {
      await sql`set local search_path to messaging`.execute(db)
      await sql.raw(text).execute(db)
      // A plan made while a table was never analyzed takes the wrong index and keeps it.
      await sql`analyze`.execute(db)
    }
  }
}
