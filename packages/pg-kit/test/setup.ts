import { freshDatabase, type Scope } from '@parley/test-kit'
import { Database } from '../src/index.ts'

/** The tables that these tests look into; the whole schema is message-store's. */
export interface Tables {
  organizations: { id: string; name: string }
}

/** A pool that answers people, of one connection unless more are asked for: whatever one use leaves, the next one sees. */
export function openPool(t: Scope, url: string, { max = 1, role = 'parley_app' }: { max?: number; role?: string } = {}): Database<Tables> {
  const db = new Database<Tables>({ url, max, schema: 'messaging', role, application: 'pg-kit-test', onError: () => {} })
  t.teardown(() => db.close())
  return db
}

export async function setup(t: Scope, options?: { max?: number; role?: string }) {
  const database = await freshDatabase(t)
  return { database, db: openPool(t, database.url, options) }
}
