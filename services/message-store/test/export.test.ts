import { EraseUser, ExportUser, GetJob, ReadExport } from '@parley/contracts'
import { failOnLeftovers, startStore, until } from '@parley/test-kit'
import t from 'tap'
import { asAdmin, ended, readAll, tablesWith } from './jobs-setup.ts'
import { openStore, setup, toSend, upTo } from './setup.ts'

failOnLeftovers(t)

t.test('an export has the profile and every message of the person, in pages, and nothing of others', async t => {
  const world = await setup(t)
  const [ada, bob] = await world.people('Ada', 'Bob')
  const admin = asAdmin(bob)
  const [one, other] = [await world.group(ada, bob), await world.group(bob, ada)]
  // Every fourth is as long as a message may be, so pages are cut by their size as well.
  await world.sendAll(upTo(300).map(n => toSend(ada, one.id, n % 4 === 0 ? '"'.repeat(5_000) : `${n}`)))
  await world.sendAll(upTo(30).map(n => toSend(bob, one.id, `bob ${n}`)))
  await world.say(ada, other.id, 'elsewhere 한', { metadata: { a: 1 } })
  await world.remove(ada, await world.say(ada, other.id, 'taken back'))

  const job = await world.ask(ExportUser, admin, { user_id: ada.id })
  const { status, progress, result, expires_at, finished_at } = await ended(world, admin, job)
  t.match([status, progress.percent, result.messages], ['done', 100, 302])
  t.ok(result.pages! > 2, `${result.pages} pages`)
  t.equal(Date.parse(expires_at!) - Date.parse(finished_at!), 24 * 3_600_000)
  const [profile, ...messages] = await readAll(world, admin, job)
  t.match(profile, { type: 'profile', id: ada.id, display_name: 'Ada', exported_at: String })
  t.equal(messages.length, 302)
  t.same(
    messages.filter(message => message.conversation_id === one.id).map(({ seq }) => seq),
    upTo(300)
  )
  t.match(
    messages.filter(message => message.conversation_id === other.id),
    [
      { content: 'elsewhere 한', metadata: { a: 1 }, deleted_at: null },
      { content: 'taken back', deleted_at: String }
    ]
  )
  t.notMatch(JSON.stringify(messages), /bob \d/)

  const [eve] = await world.people('Eve')
  await t.rejects(world.ask(ReadExport, asAdmin(eve), { job_id: job.id, page: 1 }), { code: 'job_not_found' })
  await t.rejects(world.ask(ReadExport, ada, { job_id: job.id, page: 1 }), { code: 'forbidden' }, 'nor does the person read it here')
  await t.rejects(world.ask(ExportUser, asAdmin(eve), { user_id: ada.id }), { code: 'user_not_found' })
})

t.test('an export that is older than a day cannot be read, and the hourly sweep removes it; one of an erased person at once', async t => {
  const world = await setup(t)
  const [ada, bob] = await world.people('Ada', 'Bob')
  const admin = asAdmin(bob)
  const { id } = await world.group(ada, bob)
  await world.say(ada, id, 'rhabarber')
  const pages = () => world.database.query('select 1 from messaging.export_pages')
  const sweep = () => world.database.query(`insert into queue.job_common (name, data) values ('sweep', '{}')`)
  t.match(await world.database.query('select name, cron from queue.schedule'), [{ name: 'sweep', cron: '0 * * * *' }])

  const job = await world.ask(ExportUser, admin, { user_id: ada.id })
  await t.rejects(world.ask(ReadExport, admin, { job_id: job.id, page: 1 }), { code: 'export_not_ready' })
  await ended(world, admin, job)
  await sweep()
  const kept = await world.ask(ExportUser, admin, { user_id: bob.id })
  await ended(world, admin, kept)
  await world.database.query(`update messaging.jobs set expires_at = now() where id = $1`, [job.id])
  await t.rejects(world.ask(ReadExport, admin, { job_id: job.id, page: 1 }), { code: 'job_not_found' })
  await t.rejects(world.ask(GetJob, admin, { job_id: job.id }), { code: 'job_not_found' })
  await sweep()
  await until(async () => (await pages()).length === 1, { timeoutMs: 20_000 })
  t.equal((await readAll(world, admin, kept)).length, 1, 'what has not expired stays')

  const last = await world.ask(ExportUser, admin, { user_id: ada.id })
  await ended(world, admin, last)
  await ended(world, admin, await world.ask(EraseUser, admin, { user_id: ada.id }))
  await t.rejects(world.ask(ReadExport, admin, { job_id: last.id, page: 1 }), { code: 'job_not_found' })
  await sweep()
  await until(async () => (await tablesWith(world, 'rhabarber')).length === 0, { timeoutMs: 20_000 })
})

t.test('an export whose store is killed in the middle is finished by the next one, with each message once', async t => {
  const world = await setup(t, { stores: 0 })
  const doomed = await startStore(t, { databaseUrl: world.database.url, natsUrl: world.nats.url, instance: 'doomed' })
  const [ada, bob] = await world.people('Ada', 'Bob')
  const { id } = await world.group(ada, bob)
  for (let sent = 0; sent < 2_000; sent += 400) await world.sendAll(upTo(400).map(n => toSend(ada, id, `${sent + n}`)))
  const job = await world.ask(ExportUser, asAdmin(bob), { user_id: ada.id })
  await until(async () => (await world.database.query('select 1 from messaging.export_pages')).length > 0)
  doomed.kill('SIGKILL')
  await doomed.exited
  await openStore(t, { databaseUrl: world.database.url, natsUrl: world.nats.url })
  await ended(world, asAdmin(bob), job)
  const [, ...messages] = await readAll(world, asAdmin(bob), job)
  t.same(
    messages.map(({ content }) => content),
    upTo(2_000).map(String)
  )
})
