import { randomUUID } from 'node:crypto'
import { failOnLeftovers, freshDatabase, type Scope } from '@parley/test-kit'
import t from 'tap'
import { createConsumerTables, Database, Inbox, type Kysely, type Versioned } from '../src/index.ts'

failOnLeftovers(t)

interface Tables {
  effects: { conversation_id: string; version: number }
}

const database = await freshDatabase(t)
let schemas = 0

/** An inbox in a schema of its own, and an effect that writes down each event that it gets. */
async function setup(t: Scope) {
  const schema = `counting_${++schemas}`
  const query: typeof database.query = (text, values) => database.query(text.replaceAll('counting.', `${schema}.`), values)
  const open = (role: string, max: number) => {
    const db = new Database<Tables>({ url: database.url, max, schema, role, application: 'pg-kit-test', onError: () => {} })
    t.teardown(() => db.close())
    return db
  }
  await query(`create schema ${schema}; grant usage on schema ${schema} to parley_store;
    create table counting.effects (place bigint generated always as identity, conversation_id uuid, version bigint);
    grant insert on counting.effects to parley_store`)
  const owner = open('parley', 1)
  const makeTables = () => owner.transaction(db => createConsumerTables(db, { schema, role: 'parley_store' }))
  await makeTables()

  const inbox = new Inbox(open('parley_store', 4), 'counter')
  const effect = async (db: Kysely<Tables>, fresh: readonly Versioned[]) => {
    for (const { conversation_id, version } of fresh) await db.insertInto('effects').values({ conversation_id, version }).execute()
  }
  return {
    schema,
    makeTables,
    query,
    inbox,
    apply: (...events: Versioned[]) => inbox.apply(events, effect),
    applied: async () => (await query<{ version: string }>('select version from counting.effects order by place')).map(row => +row.version),
    row: async () => (await query<{ applied: string }>('select applied::text from counting.inbox'))[0]?.applied
  }
}

const conversation_id = randomUUID()
const at = (...versions: number[]) => versions.map(version => ({ conversation_id, version }))
const patient = (...versions: number[]) => at(...versions).map(event => ({ ...event, mayWait: true }))

t.test('an event has its effect once, in whatever company it comes again', async t => {
  const { apply, applied, row } = await setup(t)
  t.same(await apply(...at(1, 2, 3)), { fresh: 3, early: [] })
  t.same(await apply(...at(2, 3)), { fresh: 0, early: [] })
  t.same(await apply(...at(3, 4)), { fresh: 1, early: [] })
  t.same(await apply(...at(5, 5, 1, 6, 5)), { fresh: 2, early: [] })
  t.same(await applied(), [1, 2, 3, 4, 5, 6])
  t.equal(await row(), '{[1,7)}', 'and what is kept of it is one range')
})

t.test('what comes in any order is applied once and kept as one range in the end', async t => {
  const { apply, applied, row } = await setup(t)
  const versions = Array.from({ length: 60 }, (_, index) => ((index * 37) % 60) + 1)
  for (let from = 0; from < versions.length; from += 4) await apply(...at(...versions.slice(from, from + 6)))
  t.same(
    (await applied()).toSorted((a, b) => a - b),
    versions.toSorted((a, b) => a - b)
  )
  t.equal(await row(), '{[1,61)}')
})

t.test('events reach the effect by version', async t => {
  const { apply, applied } = await setup(t)
  await apply(...at(3, 1, 2))
  t.same(await applied(), [1, 2, 3])
})

t.test('an event that may wait is left while one before it is missing, and its effect comes after it', async t => {
  const { apply, applied, row } = await setup(t)
  await apply(...at(1))
  t.match(await apply(...patient(3, 4)), { fresh: 0, early: [{ version: 3 }, { version: 4 }] })
  t.equal(await row(), '{[1,2)}')
  t.same(await apply(...patient(2)), { fresh: 1, early: [] })
  t.same(await apply(...patient(3, 4)), { fresh: 2, early: [] })
  t.same(await applied(), [1, 2, 3, 4])
})

t.test('what no longer waits is applied over the hole, and the missing one once when it comes after all', async t => {
  const { apply, applied, row } = await setup(t)
  await apply(...at(1))
  t.same(await apply(...at(3)), { fresh: 1, early: [] })
  t.same(await apply(...patient(4)), { fresh: 1, early: [] }, 'a hole that was passed holds nothing up')
  t.equal(await row(), '{[1,2),[3,5)}')
  t.same(await apply(...patient(2)), { fresh: 1, early: [] })
  t.same(await apply(...patient(2)), { fresh: 0, early: [] })
  t.same(await applied(), [1, 3, 4, 2])
})

t.test('a consumer that begins in the middle of a conversation waits for nothing before it', async t => {
  const { apply } = await setup(t)
  t.same(await apply(...patient(900, 902)), { fresh: 2, early: [] })
})

t.test('an id is the same one in capitals', async t => {
  const { apply } = await setup(t)
  await apply(...at(1))
  t.same(await apply({ conversation_id: conversation_id.toUpperCase(), version: 1 }, ...at(2)), { fresh: 1, early: [] })
})

t.test('an effect that fails leaves nothing, and the event is new the next time', async t => {
  const { inbox, apply, applied } = await setup(t)
  const failing = inbox.apply(at(1, 2), async db => {
    await db.insertInto('effects').values({ conversation_id, version: 1 }).execute()
    throw new Error('no')
  })
  await t.rejects(failing, { message: 'no' })
  t.same(await applied(), [])
  t.same(await apply(...at(1, 2)), { fresh: 2, early: [] })
})

t.test('whoever applies the same events at the same moment applies them once', async t => {
  const { apply, applied } = await setup(t)
  const others = Array.from({ length: 20 }, () => randomUUID())
  const events = others.flatMap(id => [1, 2, 3].map(version => ({ conversation_id: id, version })))
  const outcomes = await Promise.all([apply(...events), apply(...events.toReversed()), apply(...events.slice(7)), apply(...events)])
  t.equal(
    outcomes.reduce((sum, { fresh }) => sum + fresh, 0),
    events.length
  )
  t.equal((await applied()).length, events.length)
})

t.test('holes that are never filled do not let a row grow for ever', async t => {
  const { apply, row } = await setup(t)
  const ranges = async () => (await row())!.split(',[').length
  for (let from = 1; from < 800; from += 200) await apply(...at(...Array.from({ length: 100 }, (_, index) => from + index * 2)))
  t.ok((await ranges()) <= 301, `${await ranges()} ranges`)
  t.same(await apply(...at(2)), { fresh: 0, early: [] }, 'the oldest hole counts as applied')
  t.same(await apply(...at(798)), { fresh: 1, early: [] }, 'a young one does not')
})

const letter = (key: string) => ({
  key,
  reason: 'failed',
  error: 'Error: no',
  subject: 'log.changes',
  stream: 'EVT',
  stream_seq: 7,
  published_at: new Date().toISOString(),
  first_failed_at: new Date().toISOString(),
  deliveries: 3,
  payload: Buffer.from([0, 255, 10])
})

t.test('a letter is kept once for an event, bytes and all, and tells how often it was tried', async t => {
  const { inbox, query } = await setup(t)
  t.equal(await inbox.bury(letter('a')), true)
  t.equal(await inbox.bury({ ...letter('a'), reason: 'invalid_json', deliveries: 6 }), false)
  t.equal(await inbox.bury(letter('b')), true)
  t.equal(await inbox.countDead(), 2)
  const [first] = await query("select reason, deliveries, payload from counting.dead_letters where key = 'a'")
  t.same(first, { reason: 'invalid_json', deliveries: 6, payload: Buffer.from([0, 255, 10]) })
})

t.test('a letter is replayed when somebody asks for it, by one process, and stays where it fails again', async t => {
  const { inbox, query } = await setup(t)
  await inbox.bury(letter('a'))
  t.equal(await inbox.claimReplay(), undefined, 'nobody asked')
  await query('update counting.dead_letters set replay_requested_at = now()')
  const claimed = await Promise.all([inbox.claimReplay(), inbox.claimReplay(), inbox.claimReplay()])
  const [one, ...more] = claimed.filter(Boolean)
  t.same(more, [])
  t.same(one!.payload, Buffer.from([0, 255, 10]))

  await inbox.finishReplay(one!.id, { reason: 'failed', error: 'Error: still not' })
  t.equal(await inbox.claimReplay(), undefined)
  t.match(await query('select error, replays, replay_requested_at from counting.dead_letters'), [
    { error: 'Error: still not', replays: 1, replay_requested_at: null }
  ])
  await query("update counting.dead_letters set replay_requested_at = now(), claimed_until = now() - interval '1 second'")
  await inbox.finishReplay((await inbox.claimReplay())!.id)
  t.equal(await inbox.countDead(), 0)
})

t.test('a consumer with as many letters as it may have gets no more, and is told to wait', async t => {
  const { inbox, query } = await setup(t)
  await query(`insert into counting.dead_letters
      (consumer, key, reason, error, subject, stream, stream_seq, published_at, first_failed_at, deliveries, payload)
    select 'counter', n::text, '', '', '', '', 1, now(), now(), 1, '' from generate_series(1, 10000) n`)
  await t.rejects(inbox.bury(letter('a')), { code: 'unavailable' })
  await inbox.bury(letter('77'))
  await query("delete from counting.dead_letters where key = '1'")
  await inbox.bury(letter('a'))
})

t.test('the tables are made once, however often that is asked, and answer their service alone', async t => {
  const { schema, makeTables, query } = await setup(t)
  await makeTables()
  const rows = await query<{ secured: boolean; readable: boolean }>(
    `select relrowsecurity and relforcerowsecurity as secured, has_table_privilege('parley_app', oid, 'select') as readable
     from pg_class where relname in ('inbox', 'dead_letters') and relnamespace = '${schema}'::regnamespace`
  )
  t.same(rows, Array(2).fill({ secured: true, readable: false }))
})
