import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { failOnLeftovers, startTestPostgres, until } from '@parley/test-kit'
import t from 'tap'
import { Database, sql } from '../src/index.ts'
import { openPool, setup, type Tables } from './setup.ts'

failOnLeftovers(t)

const caller = { user_id: randomUUID(), org_id: randomUUID() }
const ask = (db: Database<Tables>) => db.query(inside => sql`select 1`.execute(inside))

t.test('whose connection is killed is told unavailable, and the pool goes on with others', async t => {
  const { database, db } = await setup(t, { max: 4 })
  const asleep = () => db.query(inside => sql`select pg_sleep(20)`.execute(inside))
  const inTransaction = () => db.asUser(caller, inside => sql`select pg_sleep(20)`.execute(inside))
  const waiting = [asleep(), asleep(), inTransaction(), inTransaction()]
  const outcomes = Promise.allSettled(waiting)
  await until(
    async () => (await database.query("select 1 from pg_stat_activity where query like '%pg_sleep(20)%' and state = 'active'")).length >= 4,
    {
      what: 'all four sleep'
    }
  )

  await database.terminateConnections()

  for (const outcome of await outcomes) t.match(outcome, { status: 'rejected', reason: { code: 'unavailable', retry_after_ms: 1_000 } })
  await Promise.all(Array.from({ length: 8 }, () => ask(db)))
  t.pass('the next ones are answered')
})

t.test('idle connections that are killed trouble nobody', async t => {
  const { database, db } = await setup(t, { max: 4 })
  await Promise.all(Array.from({ length: 4 }, () => ask(db)))
  await database.terminateConnections()
  await until(() => db.pool.idleCount === 0, { what: 'the loss is noticed' })
  await ask(db)
})

t.test('whoever reads the log is told which server cannot be reached, however that shows', async t => {
  const silent = createServer(socket => socket.on('error', () => {}).resume()).listen(0, '127.0.0.1')
  t.teardown(() => silent.close())
  await once(silent, 'listening')
  const { port } = silent.address() as AddressInfo
  const told = async (host: string) => {
    const failure = await ask(openPool(t, `postgres://parley:secret@${host}/parley`)).then(
      () => undefined,
      error => error
    )
    return [failure?.code, failure?.cause.message]
  }
  const [code, said] = await told(`127.0.0.1:${port}`)
  t.match([code, said], ['unavailable', `no connection to 127.0.0.1:${port}: `], 'it says nothing')
  t.match(await told('127.0.0.1:1'), ['unavailable', 'no connection to 127.0.0.1:1: connect ECONNREFUSED'], 'it is closed')
  t.match(await told('no-such-host.invalid:5432'), ['unavailable', 'no connection to no-such-host.invalid:5432: '], 'it has no address')
  t.notMatch(said, 'secret')
})

t.test('a server looks within a minute whether a client that says nothing is still there', async t => {
  const { db } = await setup(t)
  const { rows } = await db.query(inside =>
    sql<{ seconds: number }>`
      select current_setting('tcp_keepalives_idle')::int
        + current_setting('tcp_keepalives_interval')::int * current_setting('tcp_keepalives_count')::int as seconds`.execute(inside)
  )
  t.same(rows, [{ seconds: 60 }])
})

t.test('what is busy or refused is told as what it is', async t => {
  const { db } = await setup(t, { role: 'parley_store' })
  const fails = (text: string) => db.query(inside => sql.raw(text).execute(inside))
  await t.rejects(fails("do $$ begin raise sqlstate '40P01'; end $$"), { code: 'unavailable' }, 'a deadlock')
  await t.rejects(fails("do $$ begin raise sqlstate '55P03'; end $$"), { code: 'unavailable' }, 'a lock that was waited for too long')
  await t.rejects(fails("do $$ begin raise sqlstate '57014'; end $$"), { code: 'unavailable' }, 'a query above its time')
  await t.rejects(fails("do $$ begin raise sqlstate '53300'; end $$"), { code: 'unavailable' }, 'too many connections')
  await t.rejects(fails("do $$ begin raise sqlstate '23505'; end $$"), { code: '23505' }, 'ours stays as it is')
  await t.rejects(
    db.query(inside => inside.insertInto('organizations').values({ id: randomUUID(), name: 'a\u0000b' }).execute()),
    { code: 'invalid_text', status: 400 }
  )
  await ask(db)
})

t.test('while PostgreSQL is down a query is unavailable within two seconds, and works once it is up', async t => {
  const server = await startTestPostgres(t)
  const db = new Database<Tables>({ url: server.url, max: 4, schema: 'public', role: 'parley', application: 'test', onError: () => {} })
  t.teardown(() => db.close())
  await ask(db)

  await server.crash()

  const since = Date.now()
  const outcomes = await Promise.allSettled(Array.from({ length: 10 }, () => ask(db)))
  t.ok(Date.now() - since < 2_000, `${Date.now() - since} ms`)
  for (const outcome of outcomes) t.match(outcome, { status: 'rejected', reason: { code: 'unavailable' } })

  await server.start()
  await until(() => ask(db), { what: 'it is found again' })

  // Connections that are not made yet: the server takes them and says nothing.
  const fresh = new Database<Tables>({ url: server.url, max: 4, schema: 'public', role: 'parley', application: 'test', onError: () => {} })
  t.teardown(() => fresh.close())
  await server.freeze()
  const frozenSince = Date.now()
  await t.rejects(ask(fresh), { code: 'unavailable' })
  t.ok(Date.now() - frozenSince < 2_000, `${Date.now() - frozenSince} ms`)
  await server.thaw()
})

t.test('a pool whose connections are all taken is unavailable, not silent', async t => {
  const { db } = await setup(t, { max: 1 })
  const held = db.query(inside => sql`select pg_sleep(2.2)`.execute(inside))
  const since = Date.now()
  await t.rejects(ask(db), { code: 'unavailable' })
  t.ok(Date.now() - since < 2_000, `${Date.now() - since} ms`)
  await held
})
