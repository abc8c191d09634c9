import { failOnLeftovers, startTestPostgres, until } from '@parley/test-kit'
import pg from 'pg'
import t, { type Test } from 'tap'
import { Database, unsafePostgres } from '../src/index.ts'

failOnLeftovers(t)

const server = await startTestPostgres(t)

/** Runs statements as the owner, and holds that a new session, as a service has after its start, finds that unsafe and nothing else. */
async function finds(t: Test, expected: string[], ...statements: string[]): Promise<void> {
  const owner = new pg.Client({ connectionString: server.url })
  await owner.connect()
  for (const statement of [...statements, 'select pg_reload_conf()']) await owner.query(statement)
  await owner.end()
  let found: Awaited<ReturnType<typeof unsafePostgres>> = []
  const names = () => found.map(({ setting, value }) => `${setting}=${value}`).join()
  // The server reads its configuration a moment after it was told to.
  await until(async () => {
    const database = new Database({ url: server.url, max: 1, schema: 'public', role: 'parley', application: 'test', onError: () => {} })
    found = await unsafePostgres(database).finally(() => database.close())
    return names() === expected.join()
  }).catch(() => {})
  t.equal(names(), expected.join(), statements[0] ?? 'as it was started')
  for (const { why, fix } of found) t.ok(why && fix)
}

t.test('PostgreSQL as we start it is safe', async t => {
  await finds(t, [])
})

for (const setting of ['synchronous_commit', 'fsync', 'full_page_writes']) {
  t.test(`${setting} = off alone is found`, async t => {
    await finds(t, [`${setting}=off`], `alter system set ${setting} = off`)
    await finds(t, [], `alter system reset ${setting}`)
  })
}

t.test('what counts is what the own session has, not what the server says of others', async t => {
  await finds(t, ['synchronous_commit=off'], 'alter database parley set synchronous_commit = off')
  // It flushes here.
  await finds(t, [], 'alter database parley set synchronous_commit = local')
})

t.test('a database that is away is no answer', async t => {
  const database = new Database({
    url: 'postgres://127.0.0.1:1/none',
    max: 1,
    schema: 'public',
    role: 'parley',
    application: 'test',
    onError: () => {}
  })
  t.teardown(() => database.close())
  await t.rejects(unsafePostgres(database), { code: 'unavailable' })
})
