import { randomUUIDv7 } from 'node:crypto'
import { SearchMessages } from '@parley/contracts'
import { failOnLeftovers, freshDatabase, type Person, startStore, startTestNats, until } from '@parley/test-kit'
import t, { type Test } from 'tap'
import { sampleCommon, writeEntries } from '../src/queries/search.ts'
import { lexemesOf } from '../src/search/lexemes.ts'
import { openBus, openOwner, openStore, setup, type World, worldOf } from './setup.ts'

failOnLeftovers(t)

const inIndex = async ({ database }: World, id: string): Promise<number[]> =>
  (
    await database.query<{ seq: number }>('select seq::int from messaging.message_search where conversation_id = $1 order by seq', [id])
  ).map(({ seq }) => seq)
const isWhole = async ({ database }: World, id: string) =>
  (
    await database.query(
      'select 1 from messaging.conversations c join messaging.search_progress s on s.conversation_id = c.id and s.seq = c.last_seq where c.id = $1',
      [id]
    )
  ).length === 1
const find = async ({ ask }: World, who: Person, q: string) =>
  (await ask(SearchMessages, who, { query: { q, limit: 100 } })).results.map(({ message }) => message.content)
const upTo = (count: number) => Array.from({ length: count }, (_, n) => n + 1)

/** A conversation with messages that were there before anything filled the index. */
async function withHistory(
  t: Test,
  count: number
): Promise<{ world: World; ada: Person; id: string; databaseUrl: string; natsUrl: string }> {
  const world = await setup(t)
  const [ada] = await world.people('Ada')
  const { id } = await world.group(ada)
  await Promise.all(world.stores.map(store => store.close()))
  await world.database.query(
    `insert into messaging.messages (conversation_id, seq, id, version, org_id, sender_id, content, created_at, updated_at)
     select $1, n, uuidv7(n * interval '1 min' - interval '90 days'), n + 1, $2, $3, 'quince number ' || n, now(), now() from generate_series(1, $4) n`,
    [id, ada.org_id, ada.id, count]
  )
  await world.database.query(
    "update messaging.conversations set last_seq = $2::bigint, version = $2::bigint + 1, last_message_at = now(), created_at = now() - interval '91 days' where id = $1",
    [id, count]
  )
  return { world, ada, id, databaseUrl: world.database.url, natsUrl: world.nats.url }
}

t.test('what was said before there was an index is found once a store has run for a while', async t => {
  const { world, ada, id, databaseUrl, natsUrl } = await withHistory(t, 1_300)
  await world.database.query('update messaging.search_worker set seen_id = null')
  await openStore(t, { databaseUrl, natsUrl })
  await until(() => isWhole(world, id), { timeoutMs: 60_000, what: 'the history is in the index' })
  t.same(await inIndex(world, id), upTo(1_300))
  t.equal((await find(world, ada, 'quince')).length, 100)
  t.same(await find(world, ada, '1234'), ['quince number 1234'])

  const owner = openOwner(t, databaseUrl)
  const common = await owner.query(db => sampleCommon(db, 0.2))
  t.ok(common.includes('quince') && common.includes('number'), 'what everyone says is known by a sample')
  t.notOk(common.includes('1234'))
  t.same(await find(world, ada, '"number 1234"'), ['quince number 1234'], 'and still decides')
  t.same(await find(world, ada, '"quince 1234"'), [])
})

t.test('a message whose id is older than what was looked through is found once conversations are compared', async t => {
  const { world, ada, id, databaseUrl, natsUrl } = await withHistory(t, 3)
  // As a store leaves it whose transaction was committed minutes after it began.
  await world.database.query('update messaging.search_worker set seen_id = $1', [randomUUIDv7()])
  await openStore(t, { databaseUrl, natsUrl })
  await until(() => isWhole(world, id), { timeoutMs: 30_000 })
  t.equal((await find(world, ada, 'quince')).length, 3)
})

t.test('a store that is killed while it fills the index leaves nothing out and nothing twice', async t => {
  const { world, ada, id, databaseUrl, natsUrl } = await withHistory(t, 6_000)
  const store = await startStore(t, { databaseUrl, natsUrl })
  const before = await until(
    async () => {
      const { length } = await inIndex(world, id)
      return length > 0 ? length : undefined
    },
    { timeoutMs: 30_000 }
  )
  await store.kill('SIGKILL')
  t.ok(before < 6_000, `it had come to ${before}`)
  const left = await inIndex(world, id)
  t.same(left, upTo(left.length), 'what is in the index is the beginning, whole')

  await Promise.all([openStore(t, { databaseUrl, natsUrl }), openStore(t, { databaseUrl, natsUrl })])
  await until(() => isWhole(world, id), { timeoutMs: 60_000 })
  t.same(await inIndex(world, id), upTo(6_000))
  t.same(await find(world, ada, '5999'), ['quince number 5999'])
})

t.test('a worker that comes late does not bring back what was edited or deleted meanwhile', async t => {
  const world = await setup(t)
  const [ada] = await world.people('Ada')
  const { id } = await world.group(ada)
  const [edited, deleted] = [await world.say(ada, id, 'secret one'), await world.say(ada, id, 'secret two')]
  await until(() => isWhole(world, id))
  await world.edit(ada, edited, 'harmless')
  await world.remove(ada, deleted)
  // What a worker read before that, and writes only now.
  const late = [edited, deleted].map(message => ({
    ...message,
    org_id: ada.org_id,
    lexemes: [...lexemesOf({ ...message, org_id: ada.org_id })]
  }))
  await openOwner(t, world.database.url).query(db =>
    writeEntries(
      db,
      late.map(({ id: message_id, ...rest }) => ({ message_id, ...rest }))
    )
  )
  t.same(await find(world, ada, 'secret'), [])
  t.same(await find(world, ada, 'harmless'), ['harmless'])
  const rows = await world.database.query<{ lexemes: string }>(
    'select lexemes::text from messaging.message_search where message_id = any($1)',
    [[edited.id, deleted.id]]
  )
  t.notMatch(JSON.stringify(rows), 'secret', 'nor is it anywhere in the index')
})

t.test('the index is filled without NATS, and a store that cannot fill it goes on sending', async t => {
  const database = await freshDatabase(t)
  const nats = await startTestNats(t)
  const world = worldOf(database, nats, [await openStore(t, { databaseUrl: database.url, natsUrl: nats.url })], await openBus(t, nats.url))
  const [ada] = await world.people('Ada')
  const { id } = await world.group(ada)
  // Somebody holds the row that lets a worker work.
  const owner = openOwner(t, database.url)
  const client = await owner.pool.connect()
  await client.query('begin')
  await client.query('select from messaging.search_worker for update')
  for (let n = 0; n < 5; n++) await world.say(ada, id, `fig ${n}`)
  t.same(await find(world, ada, 'fig'), [])
  await nats.crash()
  await client.query('commit')
  client.release()
  await until(() => isWhole(world, id), { timeoutMs: 20_000 })
  await nats.start()
  await until(async () => (await find(world, ada, 'fig')).length === 5, { timeoutMs: 20_000 })
})
