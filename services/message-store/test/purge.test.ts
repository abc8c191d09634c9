import {
  AddReaction,
  GetChanges,
  GetConversation,
  GetJob,
  ListMessages,
  ListRevisions,
  MarkRead,
  PurgeMessages,
  RestoreMessage,
  SearchMessages
} from '@parley/contracts'
import { failOnLeftovers, startStore, until } from '@parley/test-kit'
import t from 'tap'
import { age, asAdmin, ended, storedMessages, tablesWith } from './jobs-setup.ts'
import { openStore, setup, toSend, upTo } from './setup.ts'

failOnLeftovers(t)

const NEEDLE = 'zwetschgenknödel'

t.test('what is older than some days is emptied row by row, and what is younger stays', async t => {
  const world = await setup(t)
  const { ask, say, edit, database } = world
  const [ada, bob] = await world.people('Ada', 'Bob')
  const admin = asAdmin(ada)
  const { id } = await world.group(ada, bob)
  const edited = await say(ada, id, `first, @Bob ${NEEDLE}`, { metadata: { [NEEDLE]: 1 }, client_message_id: NEEDLE })
  await edit(ada, edited, `second ${NEEDLE}`)
  await ask(AddReaction, bob, { message_id: edited.id, emoji: '👍' })
  const removed = await world.remove(bob, await say(bob, id, `taken back ${NEEDLE}`))
  const unread = await say(ada, id, `third ${NEEDLE}`)
  const young = await say(ada, id, 'young')
  await until(async () => (await ask(SearchMessages, ada, { query: { q: NEEDLE } })).results.length === 2)
  await age(world, id, unread.seq, 31)
  const before = await ask(GetConversation, bob, { conversation_id: id })
  const heard = await world.listen(id)

  const job = await ask(PurgeMessages, admin, { older_than_days: 30 })
  t.match(job, { kind: 'purge', status: 'queued', progress: { done: 0, percent: 0 } })
  const { status, progress, result } = await ended(world, admin, job)

  t.same({ status, progress, result }, { status: 'done', progress: { done: 4, total: 4, percent: 100 }, result: { messages: 3 } })
  const rows = await storedMessages(world, id)
  t.same(
    rows.map(({ seq }) => seq),
    upTo(rows.length)
  )
  for (const row of rows.slice(0, 3))
    t.match(row, { content: '', metadata: null, client_message_id: null, mentions: null, purged_at: String, deleted_at: String })
  t.match(rows[3], { content: 'young', purged_at: null, deleted_at: null })
  t.equal(rows[1]!.version, removed.version, 'what was deleted before is no change to anyone')
  t.same(await tablesWith(world, NEEDLE), [], 'nor is it anywhere else')
  t.same(await database.query('select 1 from messaging.message_revisions'), [])
  t.same(await database.query('select 1 from messaging.reactions'), [])
  t.same(await database.query('select 1 from messaging.mentions'), [])

  await until(() => heard.length === 2)
  t.match(heard, [
    { type: 'message_deleted', message: { seq: 1, content: '', is_deleted: true } },
    { type: 'message_deleted', message: { seq: 3, content: '', is_deleted: true } }
  ])
  const { messages } = await ask(ListMessages, bob, { conversation_id: id, query: {} })
  t.same(
    messages.map(({ seq, content }) => [seq, content]),
    [
      [1, ''],
      [2, ''],
      [3, ''],
      [4, 'young']
    ]
  )
  t.same((await ask(SearchMessages, ada, { query: { q: NEEDLE } })).results, [])
  t.same((await ask(ListRevisions, ada, { message_id: edited.id })).revisions, [])
  const after = await ask(GetConversation, bob, { conversation_id: id })
  t.equal(after.version, before.version + 2)
  t.same([before.unread_count, after.unread_count], [2, 1], 'who had not read one has one less to read')
  t.equal(young.seq, 4)
  await t.rejects(ask(RestoreMessage, admin, { message_id: unread.id }), { code: 'message_deleted' }, 'no moderator brings it back')
  await world.say(bob, id, 'it goes on')
  t.equal((await storedMessages(world, id)).at(-1)!.version, after.version + 1)

  const again = await ended(world, admin, await ask(PurgeMessages, admin, { older_than_days: 30 }))
  t.same([again.status, again.result, again.progress.total], ['done', {}, 0], 'a second one has nothing to do')
})

t.test('one conversation, and one organization, are purged alone', async t => {
  const world = await setup(t)
  const [ada, bob] = await world.people('Ada', 'Bob')
  const [eve, zoe] = await world.people('Eve', 'Zoe')
  const [one, other, foreign] = [await world.group(ada, bob), await world.group(ada, bob), await world.group(eve, zoe)].map(
    ({ id }) => id
  ) as [string, string, string]
  for (const [who, id] of [
    [ada, one],
    [ada, other],
    [eve, foreign]
  ] as const) {
    await world.say(who, id, 'old')
    await age(world, id, 1, 10)
  }
  const contents = async () =>
    (await Promise.all([one, other, foreign].map(id => storedMessages(world, id)))).flat().map(row => row.content)

  await ended(world, asAdmin(ada), await world.ask(PurgeMessages, asAdmin(ada), { older_than_days: 1, conversation_id: one }))
  t.same(await contents(), ['', 'old', 'old'])
  const job = await world.ask(PurgeMessages, asAdmin(ada), { older_than_days: 1 })
  await ended(world, asAdmin(ada), job)
  t.same(await contents(), ['', '', 'old'])

  for (const request of [{ older_than_days: 1 }, { older_than_days: 1, conversation_id: one }])
    await t.rejects(world.ask(PurgeMessages, ada, request), { code: 'forbidden' })
  await t.rejects(world.ask(PurgeMessages, asAdmin(eve), { older_than_days: 1, conversation_id: one }), { code: 'conversation_not_found' })
  await t.rejects(world.ask(GetJob, asAdmin(eve), { job_id: job.id }), { code: 'job_not_found' })
  await t.rejects(world.ask(GetJob, ada, { job_id: job.id }), { code: 'forbidden' })
})

t.test('a purge whose store is killed in the middle is finished by the next one, and each change is told once by its version', async t => {
  const world = await setup(t, { stores: 0 })
  const doomed = await startStore(t, { databaseUrl: world.database.url, natsUrl: world.nats.url, instance: 'doomed' })
  const [ada, bob] = await world.people('Ada', 'Bob')
  const admin = asAdmin(ada)
  const { id } = await world.group(ada, bob)
  const count = 2_400
  for (let sent = 0; sent < count; sent += 400) await world.sendAll(upTo(400).map(n => toSend(ada, id, `${sent + n}`)))
  await world.ask(MarkRead, bob, { conversation_id: id })
  await age(world, id, count - 1, 10)
  const [{ version: before }] = (await world.database.query<{ version: number }>(
    'select version::int4 from messaging.conversations where id = $1',
    [id]
  )) as [{ version: number }]
  const heard = await world.listen(id)

  const job = await world.ask(PurgeMessages, admin, { older_than_days: 5, conversation_id: id })
  await until(async () => (await storedMessages(world, id)).some(row => row.purged_at !== null))
  doomed.kill('SIGKILL')
  await doomed.exited
  const emptied = (await storedMessages(world, id)).filter(row => row.purged_at !== null).length
  t.ok(emptied > 0 && emptied < count - 1, `${emptied} of ${count - 1} were emptied by then`)
  t.equal(emptied % 200, 0, 'whole steps alone')
  await Promise.all([1, 2].map(() => openStore(t, { databaseUrl: world.database.url, natsUrl: world.nats.url })))

  const { status, result } = await ended(world, admin, job)
  t.same([status, result], ['done', { messages: count - 1 }])
  const rows = await storedMessages(world, id)
  t.same(
    rows.map(({ seq }) => seq),
    upTo(count)
  )
  t.same(
    rows.slice(0, -1).map(({ version }) => version),
    upTo(count - 1).map(n => before + n),
    'each once, in their order'
  )
  t.equal(rows.at(-1)!.content, `${count}`)
  await until(() => new Set(heard.map(change => change.version)).size === count - 1, { timeoutMs: 20_000 })
  const changes = await world.ask(GetChanges, bob, { conversation_id: id, query: { since: before } })
  t.equal(changes.messages[0]!.version, before + 1)
})

t.test('a database that ends every connection delays a job and ends nothing', async t => {
  const world = await setup(t)
  const [ada, bob] = await world.people('Ada', 'Bob')
  const { id } = await world.group(ada, bob)
  await world.sendAll(upTo(450).map(n => toSend(ada, id, `${n}`)))
  await age(world, id, 450, 10)
  const job = await world.ask(PurgeMessages, asAdmin(ada), { older_than_days: 5 })
  await world.database.terminateConnections()
  const { status, result } = await ended(world, asAdmin(ada), job)
  t.same([status, result], ['done', { messages: 450 }])
})
