import { failOnLeftovers, freshDatabase } from '@parley/test-kit'
import t from 'tap'
import { type Migration, migrate, sql } from '../src/index.ts'
import { setup } from './setup.ts'

failOnLeftovers(t)

t.test('int8 arrives as a number and a time as RFC 3339 with milliseconds in UTC', async t => {
  const { db } = await setup(t)
  const row = async (text: string) => (await db.query(inside => sql.raw<{ v: unknown }>(`select ${text} as v`).execute(inside))).rows[0]!.v

  t.equal(await row('9007199254740991::int8'), Number.MAX_SAFE_INTEGER)
  t.equal(await row('(select count(*) from generate_series(1, 3))'), 3)
  t.equal(await row('-1::int8'), -1)
  t.equal(await row('null::int8'), null)
  const times = {
    '2026-01-20 10:30:00+00': '2026-01-20T10:30:00.000Z',
    '2026-01-20 10:30:00.5+00': '2026-01-20T10:30:00.500Z',
    '2026-01-20 10:30:00.04+00': '2026-01-20T10:30:00.040Z',
    '2026-01-20 10:30:00.123999+00': '2026-01-20T10:30:00.123Z',
    '2026-01-20 10:30:00.000001+00': '2026-01-20T10:30:00.000Z',
    '2026-01-20 10:30:00+09:30': '2026-01-20T01:00:00.000Z',
    '1969-12-31 23:59:59.999+00': '1969-12-31T23:59:59.999Z'
  }
  for (const [text, expected] of Object.entries(times)) t.equal(await row(`timestamptz '${text}'`), expected, text)
  t.equal(await row('null::timestamptz'), null)
  const now = new Date().toISOString()
  const back = await db.query(inside => sql<{ v: string }>`select ${now}::timestamptz as v`.execute(inside))
  t.equal(back.rows[0]!.v, now, 'what we write is what we read')
})

t.test('many that migrate at once run every migration once; a failing one leaves nothing', async t => {
  const database = await freshDatabase(t)
  const step = (name: string): Migration => ({
    up: async db => void (await sql.raw(`create table other.${name} (id integer)`).execute(db))
  })
  const migrations: Record<string, Migration> = { '001-one': step('one'), '002-two': step('two') }
  const run = () => migrate({ url: database.url, schema: 'other', migrations })

  const done = await Promise.all([run(), run(), run()])
  t.same(done.flat(), ['001-one', '002-two'])
  t.same(await run(), [])

  migrations['003-three'] = {
    up: async db => {
      await step('three').up(db)
      throw new Error('half-way')
    }
  }
  await t.rejects(run(), /half-way/)
  t.same(await database.query("select tablename from pg_tables where schemaname = 'other' and tablename = 'three'"), [])
})
