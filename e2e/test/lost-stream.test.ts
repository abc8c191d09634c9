import { failOnLeftovers, startPlatform, until } from '@parley/test-kit'
import t from 'tap'
import { loseStreams, readFromZero, readTables, runRepublish } from '../src/change-log.ts'
import { isWhole } from '../src/history.ts'
import { startLoad } from '../src/load.ts'

failOnLeftovers(t)

t.test('a stream that is lost under load is made anew and filled again from the tables, and nobody who is live notices', async t => {
  const platform = await startPlatform(t, { gateways: 2, stores: 2 })
  const load = await startLoad(t, platform, { pauseMs: 30 })
  await load.more(60)
  const before = await readFromZero(platform.nats)
  t.ok(before.size >= 30)

  await loseStreams(platform.nats)
  await load.more(60)
  const isQuiet = () =>
    until(async () => (await platform.database.query('select 1 from messaging.outbox_batches')).length === 0, {
      timeoutMs: 20_000,
      what: 'the outbox is empty'
    })
  const after = await until(() => readFromZero(platform.nats).catch(() => undefined), { what: 'the stream is there again' })
  const lost = [...before.keys()].filter(id => !after.has(id))
  t.ok(lost.length >= 30, `${lost.length} events are in it no more`)

  // While people go on writing.
  t.match(await runRepublish(platform), /^published again: \d+ changes of 1 conversations$/m)
  await load.more(20)
  await load.stop()
  await isQuiet()

  const sorted = (held: ReadonlyMap<string, unknown>) => [...held].sort(([a], [b]) => (a < b ? -1 : 1))
  t.same(sorted(await readFromZero(platform.nats)), sorted(await readTables(platform.database)), 'who begins with nothing comes to all')
  t.ok(
    load.readers.every(({ closes }) => closes.length === 0),
    'sockets were not closed'
  )
  await isWhole(t, platform, load.conversation_id, load.history, load.readers)
})
