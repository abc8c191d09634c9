import { appendFileSync } from 'node:fs'
import pg from 'pg'

/** Loaded into a service before anything else: each statement that it gives to PostgreSQL is one byte more in a file. */
const client = pg.Client.prototype as unknown as { query: (...args: unknown[]) => unknown }
const query = client.query
const file = process.env.PARLEY_TEST_STATEMENTS

client.query = function (...args) {
  if (file) appendFileSync(file, '.')
  return query.apply(this, args)
}
