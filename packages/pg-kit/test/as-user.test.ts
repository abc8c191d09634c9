import { randomUUID } from 'node:crypto'
import { AppError } from '@parley/contracts'
import { failOnLeftovers, until } from '@parley/test-kit'
import t from 'tap'
import { type Caller, type Database, type Kysely, sql } from '../src/index.ts'
import { setup, type Tables } from './setup.ts'

failOnLeftovers(t)

const someone = (): Caller => ({ user_id: randomUUID(), org_id: randomUUID() })

interface Settings {
  user_id: string | null
  org_id: string | null
  pid: number
}

const settings = async (db: Kysely<Tables>): Promise<Settings> =>
  (
    await sql<Settings>`select nullif(current_setting('app.user_id', true), '') as user_id,
      nullif(current_setting('app.org_id', true), '') as org_id, pg_backend_pid() as pid`.execute(db)
  ).rows[0]!

const left = async (db: Database<Tables>) => {
  const { user_id, org_id } = await db.query(settings)
  return { user_id, org_id }
}
const NOTHING = { user_id: null, org_id: null }

t.test('inside of its transaction a person is known, before and after nobody is', async t => {
  const { db } = await setup(t)
  const caller = someone()
  t.same(await left(db), NOTHING)
  t.match(await db.asUser(caller, settings), caller)
  t.same(await left(db), NOTHING)
  t.same(await db.transaction(async db => ({ ...(await settings(db)), pid: 0 })), { ...NOTHING, pid: 0 })
})

t.test('a hundred people at once on one connection each see themselves alone', async t => {
  const { db } = await setup(t)
  await Promise.all(
    Array.from({ length: 100 }, async (_, n) => {
      const caller = someone()
      const work = db.asUser(caller, async inside => {
        const seen = await settings(inside)
        if (n % 4 === 0) throw new AppError('forbidden', 'in the middle')
        return seen
      })
      if (n % 4 === 0) await t.rejects(work, { code: 'forbidden' })
      else t.match(await work, caller)
      t.same(await left(db), NOTHING)
    })
  )
})

t.test('nothing of a person stays on the connection, however its transaction ends', async t => {
  const { database, db } = await setup(t)
  const cancelled = async (inside: Kysely<Tables>, how: 'cancel' | 'terminate') => {
    const { pid } = await settings(inside)
    const slept = sql`select pg_sleep(20)`.execute(inside)
    slept.catch(() => {})
    await until(
      async () => (await database.query('select 1 from pg_stat_activity where pid = $1 and query like $2', [pid, '%pg_sleep%'])).length,
      {
        what: 'it sleeps'
      }
    )
    await database.query(`select pg_${how}_backend($1)`, [pid])
    await slept
  }
  const endings: Record<string, (inside: Kysely<Tables>) => Promise<unknown>> = {
    'an error of ours before the first query': () => Promise.reject(new AppError('forbidden', 'no')),
    'an error of ours': async inside => {
      await settings(inside)
      throw new AppError('forbidden', 'no')
    },
    'an error in the code': async inside => {
      await settings(inside)
      throw new TypeError('undefined is not a function')
    },
    'an error in the first query': inside => sql`select 1 / 0`.execute(inside),
    'an error in a later query': async inside => {
      await settings(inside)
      await sql`select * from nowhere`.execute(inside)
    },
    'an error that the work swallows': async inside => {
      await sql`select 1 / 0`.execute(inside).catch(() => {})
    },
    'a query that is cancelled': inside => cancelled(inside, 'cancel'),
    'a connection that is killed': inside => cancelled(inside, 'terminate'),
    'a query above its time': async inside => {
      await sql`set local statement_timeout = 20`.execute(inside)
      await sql`select pg_sleep(20)`.execute(inside)
    }
  }
  for (const [name, work] of Object.entries(endings)) {
    await db.asUser(someone(), work).catch(() => {})
    t.same(await left(db), NOTHING, name)
    const caller = someone()
    t.match(await db.asUser(caller, settings), caller, `${name}; the next one is themselves`)
  }
})

t.test('a transaction that failed in the middle has changed nothing, and says so', async t => {
  const { database, db } = await setup(t, { role: 'parley_store' })
  const insert = (inside: Kysely<Tables>) => inside.insertInto('organizations').values({ id: randomUUID(), name: 'kept?' }).execute()

  await t.rejects(
    db.transaction(async inside => {
      await insert(inside)
      throw new AppError('forbidden', 'no')
    }),
    { code: 'forbidden' }
  )
  await t.rejects(
    db.transaction(async inside => {
      await insert(inside)
      await sql`select 1 / 0`.execute(inside).catch(() => {})
    }),
    'a commit that PostgreSQL turned into a rollback is no success'
  )
  t.same(await database.query('select * from messaging.organizations'), [])
  await db.transaction(insert)
  t.equal((await database.query('select * from messaging.organizations')).length, 1)
})

t.test('a snapshot sees one moment, and nobody writes in it', async t => {
  const { database, db } = await setup(t, { role: 'parley_store' })
  const count = async (inside: Kysely<Tables>) => (await inside.selectFrom('organizations').select('id').execute()).length
  const add = () => database.query("insert into messaging.organizations (id, name) values (gen_random_uuid(), 'x')")
  await add()
  const seen = await db.transaction(
    async inside => {
      const before = await count(inside)
      await add()
      return [before, await count(inside)]
    },
    { snapshot: true }
  )
  t.same(seen, [1, 1])
  t.equal(await db.query(count), 2)
  await t.rejects(
    db.transaction(inside => inside.insertInto('organizations').values({ id: randomUUID(), name: 'x' }).execute(), { snapshot: true }),
    { code: '25006' }
  )
})
