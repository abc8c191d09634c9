import { randomUUID } from 'node:crypto'
import { failOnLeftovers, freshDatabase } from '@parley/test-kit'
import pg from 'pg'
import t, { type Test } from 'tap'
import { verifyDatabase } from '../src/verify.ts'

failOnLeftovers(t)

/** A conversation with three messages, stored as they should be. */
async function setup(t: Test) {
  const { url } = await freshDatabase(t)
  const database = new pg.Client({ connectionString: url })
  await database.connect()
  t.teardown(() => database.end())
  const id = randomUUID()
  await database.query('set search_path = messaging')
  await database.query("insert into organizations (id, name) values ($1, 'Example')", [id])
  await database.query(
    `insert into conversations (id, org_id, type, created_by, last_seq, version, created_at, updated_at) values ($1, $1, 'group', $1, 3, 4, now(), now())`,
    [id]
  )
  await database.query(
    `insert into messages (conversation_id, seq, id, version, org_id, sender_id, content, created_at, updated_at)
     select $1, n, gen_random_uuid(), n + 1, $1, $1, 'hello', now(), now() from generate_series(1, 3) n`,
    [id]
  )
  return {
    database,
    verify: (count: number) => verifyDatabase(database, new Map([[id, count]])),
    change: (sql: string) => database.query(sql)
  }
}

t.test('a database that holds what was acknowledged passes', async t => {
  const { verify } = await setup(t)
  t.match(await verify(3), /^3 messages in 1 conversations/)
})

t.test('a message that was acknowledged and is not stored, or the reverse, is told', async t => {
  const { verify } = await setup(t)
  await t.rejects(verify(4), /4 messages were acknowledged, 3 are stored/)
  await t.rejects(verify(2), /2 messages were acknowledged, 3 are stored/)
})

t.test('holes in seq and version, and counters that differ, are told', async t => {
  const { verify, change } = await setup(t)
  await change('update messages set version = version + 1 where seq = 3')
  await t.rejects(verify(3), /version has holes\n.*version is 4, the highest 5/)
  await change('update messages set version = 4, seq = 4 where seq = 3')
  await t.rejects(verify(3), /seq has holes\n.*last_seq is 3, the highest seq 4/)
})
