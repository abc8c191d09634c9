import { appendFileSync } from 'node:fs'
import pg from 'pg'

/**
 * Loaded into a service before anything else: each statement that it gives to PostgreSQL for somebody who asked is one byte
 * more in a file.
 */
const client = pg.Client.prototype as unknown as { query: (...args: unknown[]) => unknown }
const query = client.query
const file = process.env.PARLEY_TEST_STATEMENTS
/** What a store looks after by itself, again and again. */
const UNASKED = /\b(?:scheduled_messages|outbox_batches|queue\.\w+)\b/

client.query = function (...args) {
  const [first] = args as [(string | { text?: string })?]
  const text = typeof first === 'string' ? first : (first?.text ?? '')
  if (file && !UNASKED.test(text)) appendFileSync(file, '.')
  return query.apply(this, args)
}
