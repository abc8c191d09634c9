import { randomUUID } from 'node:crypto'
import {
  Conversation,
  CreateConversation,
  check,
  EnsureUsers,
  GetConversation,
  GetDirectConversation,
  GetMe,
  GetUser,
  ListConversations,
  ListParticipants,
  ListUsers,
  UpdateMe
} from '@parley/contracts'
import { colleagues, failOnLeftovers, person, profileOf, until } from '@parley/test-kit'
import t from 'tap'
import { setup, upTo } from './setup.ts'

failOnLeftovers(t)

const { people, group, say, ask, bus, database } = await setup(t, { stores: 2 })

t.test('whoever asks first, and however many at once, two people have one direct conversation', async t => {
  const [ada, bob] = await people('Ada', 'Bob')
  const told: string[] = []
  bus.subscribe(`evt.users.${bob.org_id}.${bob.id}`, ({ data }) => told.push(JSON.parse(Buffer.from(data).toString()).conversation_id))
  await bus.flush()

  const replies = await Promise.all(
    upTo(20).map(n => {
      if (n % 3 === 0) return ask(CreateConversation, ada, { type: 'direct', participant_ids: [bob.id] })
      return n % 2 ? ask(GetDirectConversation, ada, { user_id: bob.id }) : ask(GetDirectConversation, bob, { user_id: ada.id })
    })
  )

  const id = replies[0]!.conversation.id
  t.same([...new Set(replies.map(({ conversation }) => conversation.id))], [id])
  t.equal(replies.filter(({ created }) => created).length, 1)
  t.equal((await database.query('select 1 from messaging.participants where conversation_id = $1', [id])).length, 2)
  await until(() => told.length > 0)
  t.same([...new Set(told)], [id])
  t.match(await ask(GetConversation, ada, { conversation_id: id }), { type: 'direct', participant: { id: bob.id, display_name: 'Bob' } })
  t.match(await ask(GetConversation, bob, { conversation_id: id }), { type: 'direct', participant: { id: ada.id }, my: { role: 'member' } })
})

t.test('a group is as its creator made it, and everyone in it is told as they see it', async t => {
  const [ada, bob, cem] = await people('Ada', 'Bob', 'Cem')
  const told = new Map<string, Conversation>()
  for (const who of [ada, bob, cem]) {
    bus.subscribe(`evt.users.${who.org_id}.${who.id}`, ({ data }) =>
      told.set(who.id, JSON.parse(Buffer.from(data).toString()).conversation)
    )
  }
  await bus.flush()

  const { conversation, created } = await ask(CreateConversation, ada, {
    type: 'group',
    title: ' The\n\u202egroup ',
    description: 'What for',
    participant_ids: [bob.id, cem.id, bob.id, ada.id],
    metadata: { colour: 'blue' }
  })

  t.equal(created, true)
  t.doesNotThrow(() => check(Conversation, conversation))
  t.match(conversation, {
    type: 'group',
    status: 'active',
    title: 'The group',
    description: 'What for',
    metadata: { colour: 'blue' },
    created_by: ada.id,
    participant_count: 3,
    version: 1,
    last_seq: 0,
    last_message: null,
    unread_count: 0,
    first_unread_seq: null,
    my: { role: 'owner' }
  })
  t.same(
    new Map(conversation.participants.map(p => [p.user_id, p.role])),
    new Map([
      [ada.id, 'owner'],
      [bob.id, 'member'],
      [cem.id, 'member']
    ])
  )
  await until(() => told.size === 3, { what: 'all three are told' })
  for (const who of [ada, bob, cem])
    t.same(told.get(who.id), await ask(GetConversation, who, { conversation_id: conversation.id }), who.name)
})

t.test('nobody is put into a conversation who is not known in the organization', async t => {
  const [ada] = await people('Ada')
  const [mallory] = await people('Mallory')
  for (const user_id of [randomUUID(), mallory.id]) {
    await t.rejects(ask(GetDirectConversation, ada, { user_id }), { code: 'user_not_found', status: 404 })
    await t.rejects(ask(CreateConversation, ada, { type: 'group', participant_ids: [user_id] }), { code: 'user_not_found' })
  }
  await t.rejects(ask(GetDirectConversation, ada, { user_id: ada.id }), { code: 'self_conversation', status: 400 })
  t.equal((await ask(ListConversations, ada, { query: {} })).pagination.total_items, 0)
})

t.test('the list of conversations shows newest activity first, by page, by kind, by name', async t => {
  const [ada, bob, cem] = await people('Ada', 'Bob', 'Cem 100% _x')
  const groups = []
  for (const n of upTo(5)) {
    const title = n === 3 ? 'Budget 50%' : `Group ${n}`
    groups.push((await ask(CreateConversation, ada, { type: 'group', title, participant_ids: [bob.id] })).conversation)
  }
  const { conversation: direct } = await ask(GetDirectConversation, ada, { user_id: cem.id })
  const last = await say(bob, groups[0]!.id, 'newest')
  const list = async (query: object) => {
    const { conversations, pagination } = await ask(ListConversations, ada, { query })
    return { titles: conversations.map(({ title }) => title), pagination, conversations }
  }

  const all = await list({})
  t.same(all.titles, ['Group 1', null, 'Group 5', 'Group 4', 'Budget 50%', 'Group 2'])
  t.match(all.conversations[0], { last_message: { id: last.id, is_mine: false, is_read: false }, unread_count: 1, first_unread_seq: 1 })
  t.same((await list({ page: 2, page_size: 4 })).titles, ['Budget 50%', 'Group 2'])
  t.same((await list({ page: 2, page_size: 4 })).pagination, { page: 2, page_size: 4, total_items: 6, total_pages: 2, has_next: false })
  t.same(
    (await list({ type: 'direct' })).conversations.map(({ id }) => id),
    [direct.id]
  )
  t.same((await list({ q: '50%' })).titles, ['Budget 50%'], 'a percent sign is one')
  t.same((await list({ q: 'cem' })).titles, [null], 'a direct one by the name of the other')
  t.same((await list({ q: 'ADA' })).titles, [], 'not by my own')
  t.same((await list({ unread: 'true' })).titles, ['Group 1'])
  t.equal((await list({ unread: 'false' })).titles.length, 5)
  t.same((await list({ status: 'locked' })).titles, [])
  await database.query('update messaging.participants set archived = true where conversation_id = $1 and user_id = $2', [
    groups[1]!.id,
    ada.id
  ])
  t.equal((await list({})).titles.length, 5)
  t.equal((await list({ archived: 'true' })).titles.length, 6)
  t.same((await list({ archived: 'only' })).titles, ['Group 2'])
})

t.test('a conversation and who is in it are for its participants', async t => {
  const [ada, bob, eve] = await people('Ada', 'Bob', 'Eve')
  const [mallory] = await people('Mallory')
  const { id } = await group(ada, bob)
  for (const [who, code] of [
    [eve, 'not_a_participant'],
    [mallory, 'conversation_not_found']
  ] as const) {
    await t.rejects(ask(GetConversation, who, { conversation_id: id }), { code })
    await t.rejects(ask(ListParticipants, who, { conversation_id: id, query: {} }), { code })
  }
  const { participants, pagination } = await ask(ListParticipants, bob, { conversation_id: id, query: { page_size: 1, page: 2 } })
  t.equal(participants.length, 1)
  t.match(pagination, { total_items: 2, total_pages: 2, has_next: false })
})

t.test('a conversation of a thousand shows a hundred of them and counts all, and is told to everyone in few bytes', async t => {
  const crowd = colleagues(...upTo(1_000).map(n => `Person ${n}`))
  for (const part of [0, 500]) await bus.request(EnsureUsers, { users: crowd.slice(part, part + 500).map(profileOf) })
  const told = new Map<string, Uint8Array>()
  bus.subscribe(`evt.users.${crowd[0]!.org_id}.*`, ({ subject, data }) => told.set(subject, data))
  await bus.flush()
  const conversation = await group(...crowd)
  await until(() => told.size === 1_000, { what: 'everyone is told' })
  t.ok(
    [...told.values()].every(data => data.length < 200),
    'without the conversation, which each of them asks for'
  )
  const [event] = told.values()
  t.match(JSON.parse(Buffer.from(event!).toString()), { type: 'conversation_added', conversation_id: conversation.id, version: 1 })
  t.equal(conversation.participant_count, 1_000)
  t.equal(conversation.participants.length, 100)
  const { pagination } = await ask(ListParticipants, crowd[999]!, { conversation_id: conversation.id, query: { page_size: 100 } })
  t.match(pagination, { total_items: 1_000, total_pages: 10 })
})

t.test('a profile follows the token, and many tokens at once do no harm', async t => {
  const [ada, bob] = colleagues('Ada', 'Bob')
  await Promise.all(upTo(20).map(n => bus.request(EnsureUsers, { users: (n % 2 ? [ada, bob] : [bob, ada, ada]).map(profileOf) })))
  await bus.request(EnsureUsers, { users: [{ ...profileOf(ada), display_name: 'Ada L.', title: 'Countess', org_name: 'Engines' }] })

  t.match(await ask(GetUser, bob, { user_id: ada.id }), {
    display_name: 'Ada L.',
    title: 'Countess',
    organization: { id: ada.org_id, name: 'Engines' }
  })
  t.match(await ask(GetMe, bob, {}), { user: { id: bob.id, display_name: 'Bob' }, unread_count: 0, settings: {} })
  t.same(
    (await ask(ListUsers, bob, { limit: 100 })).users.map(({ display_name }) => display_name),
    ['Ada L.', 'Bob']
  )
  t.same(
    (await ask(ListUsers, bob, { q: 'aD', limit: 100 })).users.map(({ id }) => id),
    [ada.id]
  )
  t.same((await ask(ListUsers, bob, { q: '%', limit: 100 })).users, [])
})

t.test('people of another organization do not exist, even under the same id', async t => {
  const [ada] = await people('Ada')
  const [mallory] = await people('Mallory')
  await t.rejects(ask(GetUser, ada, { user_id: mallory.id }), { code: 'user_not_found' })
  const twin = { ...person({ name: 'Twin' }), id: ada.id }
  await bus.request(EnsureUsers, { users: [profileOf(twin)] })
  t.match(await ask(GetMe, ada, {}), { user: { display_name: 'Ada', org_id: ada.org_id } })
  t.match(await ask(GetMe, twin, {}), { user: { display_name: 'Twin', org_id: twin.org_id } })
})

t.test('settings are kept for their person alone, within their bounds', async t => {
  const [ada, bob] = await people('Ada', 'Bob')
  const settings = { theme: 'dark', nested: { a: [1, null] } }
  t.same((await ask(UpdateMe, ada, { settings })).settings, settings)
  t.same((await ask(GetMe, ada, {})).settings, settings)
  t.same((await ask(GetMe, bob, {})).settings, {})
  await t.rejects(ask(UpdateMe, ada, { settings: { a: 'x'.repeat(9_000) } }), { code: 'invalid_request' })
  await t.rejects(ask(UpdateMe, person(), { settings }), { code: 'user_not_found' })
})
