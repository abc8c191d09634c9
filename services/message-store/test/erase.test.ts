import {
  AddParticipant,
  AddReaction,
  BlockUser,
  ChangeMembership,
  CreateConversation,
  EnsureUsers,
  EraseUser,
  GetConversation,
  GetDirectConversation,
  GetMe,
  GetUser,
  ListMessages,
  ListUsers,
  MarkRead,
  PutUser,
  SearchMessages,
  UpdateMe
} from '@parley/contracts'
import { failOnLeftovers, profileOf, startStore, until } from '@parley/test-kit'
import t from 'tap'
import { asAdmin, ended, storedMessages, tablesWith } from './jobs-setup.ts'
import { openStore, setup, toSend, upTo } from './setup.ts'

failOnLeftovers(t)

const NEEDLE = 'quittengelee'

t.test('of a person who is erased nothing is found in any table, and others see it happen', async t => {
  const world = await setup(t)
  const { ask, say, edit, bus, database } = world
  const [ada, bob, cem] = await world.people(`Ada ${NEEDLE}`, 'Bob', 'Cem')
  const admin = asAdmin(bob)
  await bus.request(EnsureUsers, {
    users: [
      { ...profileOf(ada), title: NEEDLE, department: NEEDLE, email: `${NEEDLE}@example.com`, avatar_url: `https://example.com/${NEEDLE}` }
    ]
  })
  await ask(UpdateMe, ada, { settings: { theme: NEEDLE } })
  await ask(BlockUser, ada, { user_id: cem.id })
  const { id } = await world.group(ada, bob)
  const { conversation: direct } = await ask(GetDirectConversation, ada, { user_id: bob.id })
  const first = await say(ada, id, `hello, @Bob ${NEEDLE}`, { metadata: { [NEEDLE]: true }, client_message_id: NEEDLE })
  await edit(ada, first, `hullo ${NEEDLE}`)
  await say(ada, direct.id, `between us ${NEEDLE}`)
  const answer = await say(bob, id, 'an answer that stays')
  await ask(AddReaction, ada, { message_id: answer.id, emoji: '👍' })
  await ask(AddReaction, bob, { message_id: answer.id, emoji: '👍' })
  await ask(MarkRead, ada, { conversation_id: id })
  await ask(ChangeMembership, ada, { conversation_id: id, draft: `not sent ${NEEDLE}`, pinned: true })
  await ask(AddParticipant, ada, { conversation_id: id, user_id: cem.id })
  await until(async () => (await ask(SearchMessages, bob, { query: { q: NEEDLE } })).results.length === 2)
  await database.query(
    `insert into messaging.scheduled_messages (id, org_id, conversation_id, user_id, content, first_content, content_type, send_at, due_at)
     values (gen_random_uuid(), $1, $2, $3, $4, $4, 'text', now() + interval '1 day', now() + interval '1 day')`,
    [ada.org_id, id, ada.id, NEEDLE]
  )
  const before = await ask(GetConversation, bob, { conversation_id: id })
  const [heard, ends] = [await world.listen(id), [] as string[]]
  bus.subscribe('eph.deactivations', ({ data }) => ends.push(JSON.parse(Buffer.from(data).toString()).user_id))
  await bus.flush()

  const job = await ask(EraseUser, admin, { user_id: ada.id })
  await t.rejects(ask(GetUser, bob, { user_id: ada.id }), { code: 'user_not_found' }, 'with the reply nobody finds them')
  t.same((await ask(EraseUser, admin, { user_id: ada.id })).id, job.id, 'asked again it is the same job')
  const { status, result, progress } = await ended(world, admin, job)
  t.same([status, progress.percent], ['done', 100])
  t.match(result, { conversations: 2, reactions: 1 })

  await until(async () => (await database.query('select 1 from messaging.outbox_batches')).length === 0, { timeoutMs: 20_000 })
  t.same(await tablesWith(world, NEEDLE), [])
  const [row] = await database.query('select * from messaging.users where id = $1', [ada.id])
  t.match(row, {
    username: `deleted-${ada.id}`,
    display_name: 'Deleted person',
    title: null,
    department: null,
    avatar_url: null,
    email: null,
    settings: {}
  })
  t.same(await database.query('select 1 from messaging.blocks'), [])
  t.same(await database.query('select 1 from messaging.read_markers where user_id = $1', [ada.id]), [])

  const rows = await storedMessages(world, id)
  t.same(
    rows.map(({ seq }) => seq),
    upTo(rows.length)
  )
  t.equal(rows.find(({ seq }) => seq === answer.seq)!.content, 'an answer that stays')
  const after = await ask(GetConversation, bob, { conversation_id: id })
  const versions = heard.map(change => change.version).sort((a, b) => a - b)
  await until(() => new Set(heard.map(change => change.version)).size === after.version - before.version, { timeoutMs: 20_000 })
  t.ok(versions.length > 0)
  t.match(
    heard.find(change => change.type === 'participant_removed'),
    { participant: { user_id: ada.id, display_name: 'Deleted person', is_active: false } }
  )
  t.match(
    heard.find(change => change.message?.id === first.id),
    { type: 'message_deleted', message: { content: '', sender: { display_name: 'Deleted person' } } }
  )
  t.match(
    heard.find(change => change.message?.id === answer.id),
    { type: 'message_updated', message: { reactions: [{ emoji: '👍', count: 1, user_ids: [bob.id] }] } }
  )
  t.notMatch(JSON.stringify(heard), NEEDLE)
  t.equal(after.participant_count, 2)
  t.equal(after.my.role, 'owner', 'the conversation has another owner')
  t.equal((await ask(GetConversation, bob, { conversation_id: direct.id })).participant_count, 1)
  const { messages } = await ask(ListMessages, bob, { conversation_id: id, query: {} })
  t.same(
    messages.map(({ seq }) => seq),
    upTo(rows.length),
    'pages have each place'
  )
  t.same((await ask(SearchMessages, bob, { query: { q: NEEDLE } })).results, [])
  t.same(ends, [ada.id, ada.id], 'their sockets are ended')
})

t.test('an id that was erased is nobody any more, whatever a token or the host application says', async t => {
  const world = await setup(t)
  const { ask, bus } = world
  const [ada, bob] = await world.people('Ada', 'Bob')
  const { id } = await world.group(ada, bob)
  await ended(world, asAdmin(bob), await ask(EraseUser, asAdmin(bob), { user_id: ada.id }))

  await bus.request(EnsureUsers, { users: [profileOf(ada)] })
  t.match(await ask(GetMe, ada, {}), { user: { display_name: 'Deleted person' }, unread_count: 0 })
  t.same((await ask(ListUsers, bob, { q: 'Ada', limit: 10 })).users, [])
  await t.rejects(ask(GetConversation, ada, { conversation_id: id }), { code: 'not_a_participant' })
  t.match(await world.sendAll([toSend(ada, id, 'I am back')]), [{ error: { code: 'not_a_participant' } }])
  await t.rejects(ask(CreateConversation, ada, { type: 'group', participant_ids: [bob.id] }), { code: 'user_not_found' })
  await t.rejects(ask(AddParticipant, bob, { conversation_id: id, user_id: ada.id }), { code: 'user_not_found' })
  await t.rejects(ask(PutUser, { ...bob, role: 'service' }, { user_id: ada.id, display_name: 'Ada' }), { code: 'user_erased' })
})

t.test('the same person of another organization, and who is no admin, erase nothing', async t => {
  const world = await setup(t)
  const { ask, bus } = world
  const [ada, bob] = await world.people('Ada', 'Bob')
  const [eve, zoe] = await world.people('Eve', 'Zoe')
  // The same subject in both: two people.
  const twin = { ...eve, id: ada.id, name: 'Twin', username: 'twin' }
  await bus.request(EnsureUsers, { users: [profileOf(twin)] })
  const { id } = await world.group(ada, bob)
  const { id: theirs } = await world.group(twin, zoe)
  await world.say(ada, id, 'hers')
  await world.say(twin, theirs, 'the twin’s')

  await t.rejects(ask(EraseUser, ada, { user_id: bob.id }), { code: 'forbidden' })
  await t.rejects(ask(EraseUser, asAdmin(eve), { user_id: bob.id }), { code: 'user_not_found' })
  await ended(world, asAdmin(zoe), await ask(EraseUser, asAdmin(zoe), { user_id: ada.id }))
  t.equal((await storedMessages(world, id)).at(-1)!.content, 'hers')
  t.equal((await storedMessages(world, theirs))[0]!.content, '')
  t.match(await ask(GetMe, ada, {}), { user: { display_name: 'Ada' } })
})

t.test('an erasure whose store is killed in the middle is finished by two others, once', async t => {
  const world = await setup(t, { stores: 0 })
  const doomed = await startStore(t, { databaseUrl: world.database.url, natsUrl: world.nats.url, instance: 'doomed' })
  const [ada, bob] = await world.people('Ada', 'Bob')
  const { id } = await world.group(ada, bob)
  for (let sent = 0; sent < 1_600; sent += 400) await world.sendAll(upTo(400).map(n => toSend(ada, id, `${sent + n} ${NEEDLE}`)))
  const job = await world.ask(EraseUser, asAdmin(bob), { user_id: ada.id })
  await until(async () => (await storedMessages(world, id)).some(row => row.purged_at !== null))
  doomed.kill('SIGKILL')
  await doomed.exited
  await Promise.all([1, 2].map(() => openStore(t, { databaseUrl: world.database.url, natsUrl: world.nats.url })))

  const { status, result } = await ended(world, asAdmin(bob), job)
  t.match([status, result], ['done', { messages: 1_600, conversations: 1 }])
  t.same(await tablesWith(world, NEEDLE), [])
  const rows = await storedMessages(world, id)
  t.same(
    rows.map(({ seq }) => seq),
    upTo(rows.length)
  )
  t.equal(rows.length, 1_600 + 1, 'that they left is said once')
  const conversation = await world.ask(GetConversation, bob, { conversation_id: id })
  t.same([conversation.unread_count, conversation.participant_count], [0, 1])
})
