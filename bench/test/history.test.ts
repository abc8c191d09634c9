import { failOnLeftovers, freshDatabase } from '@parley/test-kit'
import pg from 'pg'
import t from 'tap'
import { actorAt, conversationId, growHistory, LARGEST, makeHistory, NEVER_READ, PEOPLE_EACH } from '../src/history.ts'
import { verifyDatabase } from '../src/verify.ts'

failOnLeftovers(t)

t.test('a history that grows in steps is one that could have been written: no hole, a tenth of it in one conversation', async t => {
  const { url } = await freshDatabase(t)
  const database = new pg.Client({ connectionString: url })
  await database.connect()
  t.teardown(() => database.end())
  await makeHistory(database)
  const said: string[] = []
  await growHistory(database, 0, 5_000, text => said.push(text))
  await growHistory(database, 5_000, 20_000, text => said.push(text))
  t.match(said, [/^5,000 messages: .* the last 5,000 took/, /^20,000 messages: .* the last 15,000 took/])

  const { rows } = await database.query<{ id: string; count: number }>(
    'select conversation_id as id, count(*)::integer as count from messages group by 1 order by 1'
  )
  t.equal(rows.length, 1_000)
  t.same(rows[0], { id: conversationId(LARGEST), count: 2_000 })
  t.ok(rows.slice(1).every(({ count }) => count === 18 || count === 19))
  t.match(await verifyDatabase(database, new Map(rows.map(({ id, count }) => [id, count]))), /^20000 messages in 1000 conversations/)

  const one = async (sql: string) => Object.values((await database.query(sql)).rows[0])
  t.same(await one('select count(*)::integer from messages where deleted_at is not null'), [200])
  t.same(
    await one('select min(n)::integer, max(n)::integer from (select count(*) as n from participants group by user_id) each'),
    [PEOPLE_EACH, PEOPLE_EACH],
    'everyone is in eleven conversations'
  )
  t.same(
    await one(`select count(*)::integer from messages m where not exists (
      select from participants p where p.conversation_id = m.conversation_id and p.user_id = m.sender_id)`),
    [0],
    'nobody writes where they are not'
  )
  t.same(
    await one(
      `select count(*)::integer, min(user_id::text) from participants where conversation_id = '${conversationId(LARGEST)}' and last_read_seq = 0`
    ),
    [1, actorAt(NEVER_READ).user_id]
  )
})
