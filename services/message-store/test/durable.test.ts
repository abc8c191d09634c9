import { sql } from '@parley/pg-kit'
import { type FreshDatabase, failOnLeftovers, migratedDatabase, startTestNats, startTestPostgres } from '@parley/test-kit'
import t, { type Test } from 'tap'
import { openBus, openOwner, openStore, upTo, worldOf } from './setup.ts'

failOnLeftovers(t)

const SENDS = 200

/**
 * Sends one message after the other, and asks the moment each is acknowledged how far the log of PostgreSQL is on its disk.
 *
 * @returns of how many the commit was not on the disk when it was acknowledged
 */
async function acknowledgedTooEarly(t: Test, settings: Record<string, string>): Promise<number> {
  // What flushes in the background would hide that nobody else did.
  const quiet = { wal_writer_delay: '10s', wal_writer_flush_after: '0', autovacuum: 'off', bgwriter_delay: '10s' }
  const [postgres, nats] = await Promise.all([startTestPostgres(t, { settings: { ...quiet, ...settings } }), startTestNats(t)])
  const database: FreshDatabase = await migratedDatabase(postgres.url)
  const store = await openStore(t, { databaseUrl: postgres.url, natsUrl: nats.url })
  const world = worldOf(database, nats, [store], await openBus(t, nats.url))
  const [ada, bob] = await world.people('Ada', 'Bob')
  const { id } = await world.group(ada, bob)
  const owner = openOwner(t, postgres.url)
  const flushedTo = async () =>
    (await owner.query(db => sql<{ lsn: string }>`select pg_current_wal_flush_lsn() as lsn`.execute(db))).rows[0]!.lsn
  await database.query('create extension pg_walinspect')
  const start = await flushedTo()

  const flushed: { id: string; lsn: string }[] = []
  for (const n of upTo(SENDS)) {
    const message = await world.say(ada, id, `${n}`)
    flushed.push({ id: message.id, lsn: await flushedTo() })
  }

  await database.query('checkpoint')
  // The place of a commit in the log, by the transaction that wrote the message's row.
  const [{ known, early }] = (await database.query<{ known: number; early: number }>(
    `with commits as materialized (
       select xid, end_lsn from pg_get_wal_records_info($1::pg_lsn, pg_current_wal_flush_lsn())
       where resource_manager = 'Transaction' and record_type = 'COMMIT'
     )
     select count(*)::int as known, (count(*) filter (where c.end_lsn > a.lsn::pg_lsn))::int as early
     from unnest($2::uuid[], $3::text[]) as a (id, lsn)
     join messaging.messages m on m.id = a.id join commits c on c.xid = m.xmin`,
    [start, flushed.map(({ id }) => id), flushed.map(({ lsn }) => lsn)]
  )) as [{ known: number; early: number }]
  t.equal(known, SENDS, 'the commit of each is found in the log')
  return early
}

t.test(`of ${SENDS} sends each is on the disk of PostgreSQL when it is acknowledged`, async t => {
  t.equal(await acknowledgedTooEarly(t, {}), 0)
})

t.test('with synchronous_commit off the same look finds sends that are not', async t => {
  const early = await acknowledgedTooEarly(t, { synchronous_commit: 'off' })
  t.ok(early > SENDS / 10, `${early} of ${SENDS} were acknowledged before they were on the disk`)
})
