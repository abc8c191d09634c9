import { randomUUID } from 'node:crypto'
import { ROUTES } from '@parley/contracts'
import { colleagues, failOnLeftovers, person, startPlatform } from '@parley/test-kit'
import t from 'tap'
import { fits, group, isProblem, known } from './expect.ts'

failOnLeftovers(t)
const platform = await startPlatform(t, { gateways: 2 })
const [ada, ben, cleo, dan] = colleagues('Ada', 'Ben', 'Cleo', 'Dan')
const stranger = person({ name: 'Stranger' })
await known(platform, ada, ben, cleo, dan, stranger)
const ids = (answer: { body: { conversations: { id: string }[] } }) => answer.body.conversations.map(({ id }) => id)

t.test('a new group has version 1, no message, its creator as owner and its people as members', async t => {
  const answer = await platform.client(ada).post('/conversations', {
    type: 'group',
    title: '  The  boat\u202e ',
    description: 'Who sails when',
    participant_ids: [ben.id, cleo.id.toUpperCase(), ben.id, ada.id],
    metadata: { colour: 'blue', nested: { n: 1 } }
  })

  fits(t, answer, 201, ROUTES.createConversation.replies[201])
  t.match(answer.body, {
    org_id: ada.org_id,
    type: 'group',
    status: 'active',
    title: 'The boat',
    description: 'Who sails when',
    project_id: null,
    created_by: ada.id,
    metadata: { colour: 'blue', nested: { n: 1 } },
    participant_count: 3,
    last_message: null,
    last_message_at: null,
    last_seq: 0,
    version: 1,
    unread_count: 0,
    first_unread_seq: null,
    my: { role: 'owner', archived: false, notifications: 'all', muted_until: null, last_read_seq: 0, draft: null }
  })
  const roles = new Map(answer.body.participants.map((p: { user_id: string; role: string }) => [p.user_id, p.role]))
  t.same(
    [roles.get(ada.id), roles.get(ben.id), roles.get(cleo.id), roles.size],
    ['owner', 'member', 'member', 3],
    'named twice is in it once'
  )
  t.match(answer.body.id, /^[0-9a-f]{8}-[0-9a-f]{4}-7/, 'ids of the server are UUIDv7')

  const asBen = await platform.client(ben, 1).get(`/conversations/${answer.body.id}`)
  fits(t, asBen, 200, ROUTES.getConversation.replies[200])
  t.equal(asBen.body.my.role, 'member')
  t.notOk('participant' in asBen.body, 'the other one stands in direct conversations alone')
})

t.test('a conversation is refused with people who are not known, of elsewhere, or with a body that breaks the contract', async t => {
  const create = (body: unknown) => platform.client(ada).post('/conversations', body)
  isProblem(t, await create({ type: 'group', participant_ids: [randomUUID()] }), 404, 'user_not_found')
  isProblem(t, await create({ type: 'group', participant_ids: [ben.id, stranger.id] }), 404, 'user_not_found')
  isProblem(t, await create({ type: 'direct', participant_ids: [ada.id] }), 400, 'self_conversation')
  isProblem(t, await create({ type: 'direct', participant_ids: [ben.id, cleo.id] }), 400, 'direct_conversation')
  isProblem(t, await create({ type: 'direct', participant_ids: [] }), 400, 'direct_conversation')
  isProblem(t, await create({ type: 'group' }), 400, 'invalid_request')
  isProblem(t, await create({ type: 'room', participant_ids: [] }), 400, 'invalid_request')
  isProblem(t, await create({ type: 'group', participant_ids: ['ben'] }), 400, 'invalid_request')
  isProblem(t, await create({ type: 'group', participant_ids: [], title: 'x'.repeat(256) }), 400, 'invalid_request')
  isProblem(t, await create({ type: 'group', participant_ids: Array.from({ length: 1_001 }, () => ben.id) }), 400, 'invalid_request')
  isProblem(t, await create({ type: 'group', participant_ids: [], created_at: '2020-01-01T00:00:00Z' }), 400, 'unknown_field')
  const { body } = await create({ type: 'nothing', participant_ids: ['x'], extra: 1 })
  t.same(body.errors.map(({ path }: { path: string }) => path).sort(), ['/extra', '/participant_ids/0', '/type'], 'every field is named')
  t.equal((await platform.client(ada).get('/conversations?type=direct')).body.pagination.total_items, 0, 'nothing was left behind')
})

t.test('a direct conversation is made once: 201, then 200 with the same one, whoever asks and in whichever way', async t => {
  const first = await platform.client(ada).post(`/conversations/dm/${dan.id}`)
  fits(t, first, 201, ROUTES.directConversation.replies[201])
  t.match(first.body, { type: 'direct', title: null, participant: { id: dan.id, display_name: 'Dan' }, participant_count: 2 })

  const again = await platform.client(ada).post(`/conversations/dm/${dan.id}`)
  fits(t, again, 200, ROUTES.directConversation.replies[200])
  const other = await platform.client(dan, 1).post(`/conversations/dm/${ada.id.toUpperCase()}`)
  fits(t, other, 200, ROUTES.directConversation.replies[200])
  t.equal(other.body.participant.id, ada.id, 'each sees the other one')
  const asType = await platform.client(dan).post('/conversations', { type: 'direct', participant_ids: [ada.id] })
  t.equal(asType.status, 200)
  t.same([again.body.id, other.body.id, asType.body.id], [first.body.id, first.body.id, first.body.id])

  isProblem(t, await platform.client(ada).post(`/conversations/dm/${ada.id}`), 400, 'self_conversation')
  isProblem(t, await platform.client(ada).post(`/conversations/dm/${stranger.id}`), 404, 'user_not_found')
  isProblem(t, await platform.client(ada).post(`/conversations/dm/${randomUUID()}`), 404, 'user_not_found')
})

t.test('twenty who ask for the same direct conversation at once, over two gateways, get the same one', async t => {
  const [eve, finn] = colleagues('Eve', 'Finn')
  await known(platform, eve, finn)

  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, n) =>
      n % 4 < 2
        ? platform.client(eve, n % 2).post(`/conversations/dm/${finn.id}`)
        : platform.client(finn, n % 2).post(`/conversations/dm/${eve.id}`)
    )
  )

  t.equal(new Set(answers.map(({ body }) => body.id)).size, 1)
  t.equal(answers.filter(({ status }) => status === 201).length, 1, 'one of them made it')
  t.equal(answers.filter(({ status }) => status === 200).length, 19)
  t.equal((await platform.client(eve).get('/conversations')).body.pagination.total_items, 1)
})

t.test('conversations are listed newest activity first, by pages', async t => {
  const [gwen, hal] = colleagues('Gwen', 'Hal')
  await known(platform, gwen, hal)
  const made: string[] = []
  for (let n = 0; n < 5; n++) made.push(await group(platform, gwen, hal))
  await platform.client(hal).post(`/conversations/${made[1]}/messages`, { content: 'up' })

  const all = await platform.client(gwen).get('/conversations')
  fits(t, all, 200, ROUTES.listConversations.replies[200])
  t.same(ids(all), [made[1], made[4], made[3], made[2], made[0]])
  t.same(all.body.pagination, { page: 1, page_size: 20, total_items: 5, total_pages: 1, has_next: false })
  t.match(all.body.conversations[0], {
    unread_count: 1,
    first_unread_seq: 1,
    last_seq: 1,
    last_message: { content: 'up', is_mine: false, is_read: false }
  })

  const first = await platform.client(gwen).get('/conversations?page=1&page_size=2')
  t.same(ids(first), [made[1], made[4]])
  t.same(first.body.pagination, { page: 1, page_size: 2, total_items: 5, total_pages: 3, has_next: true })
  const last = await platform.client(gwen).get('/conversations?page=3&page_size=2')
  t.same(ids(last), [made[0]])
  t.equal(last.body.pagination.has_next, false)
  t.same(ids(await platform.client(gwen).get('/conversations?page=4&page_size=2')), [], 'past the end is empty')
})

t.test('conversations are filtered by type, status, unread, archived and words', async t => {
  const [ida, jon, kim] = colleagues('Ida', 'Jon', 'Kim')
  await known(platform, ida, jon, kim)
  const named = await platform.client(ida).post('/conversations', { type: 'group', title: '100% Boats', participant_ids: [jon.id] })
  const direct = await platform.client(ida).post(`/conversations/dm/${kim.id}`)
  await platform.client(jon).post(`/conversations/${named.body.id}/messages`, { content: 'unread' })
  const list = (query: string) => platform.client(ida).get(`/conversations?${query}`).then(ids)

  t.same(await list('type=direct'), [direct.body.id])
  t.same(await list('type=group'), [named.body.id])
  t.same(await list('unread=true'), [named.body.id])
  t.same(await list('unread=false'), [direct.body.id])
  t.same(await list('q=boat'), [named.body.id])
  t.same(await list('q=0%25%20b'), [named.body.id])
  t.same(await list('q=%20boats%20'), [named.body.id], 'blanks around it say nothing')
  t.equal((await list('q=%20%20')).length, 2, 'nor do blanks alone')
  t.same(await list('q=x%25'), [], 'a % stands for itself')
  t.same(await list('q=kim'), [direct.body.id], 'a direct one is found by the other one’s name')
  t.same(await list('status=archived'), [])
  t.same(await list('archived=only'), [])
  t.equal((await list('archived=true')).length, 2)
  t.same(await list(`project_id=${randomUUID()}`), [])
})

t.test('who is in a conversation is listed, longest-standing first, by pages', async t => {
  const id = await group(platform, ada, ben, cleo, dan)

  const all = await platform.client(ben).get(`/conversations/${id}/participants`)
  fits(t, all, 200, ROUTES.listParticipants.replies[200])
  t.equal(all.body.participants.length, 4)
  t.same(all.body.pagination, { page: 1, page_size: 20, total_items: 4, total_pages: 1, has_next: false })
  t.match(
    all.body.participants.find((p: { user_id: string }) => p.user_id === ada.id),
    {
      username: 'ada',
      display_name: 'Ada',
      role: 'owner',
      is_active: true,
      last_read_message_id: null,
      last_read_seq: 0,
      last_read_at: null
    }
  )
  const second = await platform.client(ben).get(`/conversations/${id}/participants?page=2&page_size=3`)
  t.equal(second.body.participants.length, 1)
  t.equal(second.body.pagination.has_next, false)
})

t.test('what a person has not read is counted, per conversation and in all, and marking read lowers it', async t => {
  const [lea, max] = colleagues('Lea', 'Max')
  const one = await group(platform, lea, max)
  const two = await group(platform, lea, max)
  for (let n = 1; n <= 3; n++) await platform.client(max).post(`/conversations/${one}/messages`, { content: `${n}` })
  await platform.client(max).post(`/conversations/${two}/messages`, { content: 'x' })
  const mine = platform.client(lea, 1)

  const before = await mine.get('/unread')
  fits(t, before, 200, ROUTES.unread.replies[200])
  t.equal(before.body.total, 4)
  t.same(
    new Map(before.body.conversations.map((c: { conversation_id: string; unread_count: number }) => [c.conversation_id, c.unread_count])),
    new Map([
      [one, 3],
      [two, 1]
    ])
  )
  t.equal((await mine.get('/me')).body.unread_count, 4)
  t.equal((await platform.client(max).get('/unread')).body.total, 0, 'what one wrote is read')

  const part = await mine.patch(`/conversations/${one}/read`, { seq: 2 })
  fits(t, part, 200, ROUTES.markRead.replies[200])
  t.same(part.body, { marked_read: 2, unread_count: 1, last_read_seq: 2, success: true })
  const back = await mine.patch(`/conversations/${one}/read`, { seq: 1 })
  t.same(back.body, { marked_read: 0, unread_count: 1, last_read_seq: 2, success: true }, 'a position never moves back')
  const { body: page } = await mine.get(`/conversations/${one}/messages`)
  const by = await mine.post(`/conversations/${one}/read`, { message_id: page.messages[2].id })
  t.same(by.body, { marked_read: 1, unread_count: 0, last_read_seq: 3, success: true })
  const past = await mine.post(`/conversations/${two}/read`, { seq: 999 })
  t.same(past.body, { marked_read: 1, unread_count: 0, last_read_seq: 1, success: true }, 'past the end is the end')
  t.same((await mine.get('/unread')).body, { total: 0, mention_total: 0, conversations: [] })

  await platform.client(max).post(`/conversations/${two}/messages`, { content: 'y' })
  t.same(
    (await mine.post(`/conversations/${two}/read`)).body,
    { marked_read: 1, unread_count: 0, last_read_seq: 2, success: true },
    'no body: all'
  )
  isProblem(t, await mine.post(`/conversations/${two}/read`, { message_id: page.messages[0].id }), 404, 'message_not_found')
  isProblem(t, await mine.post(`/conversations/${two}/read`, { seq: -1 }), 400, 'invalid_request')
})

t.test('changes since a version hold every object once, whole, at its newest version', async t => {
  const id = await group(platform, ada, ben)
  const first = (await platform.client(ada).post(`/conversations/${id}/messages`, { content: 'one' })).body
  await platform.client(ben).post(`/conversations/${id}/messages`, { content: 'two' })
  await platform.client(ada).patch(`/messages/${first.id}`, { content: 'one, better' })

  const all = await platform.client(ben, 1).get(`/conversations/${id}/changes?since=1`)
  fits(t, all, 200, ROUTES.changes.replies[200])
  t.match(all.body, { conversation_id: id, from_version: 1, version: 4, has_more: false })
  t.same(
    all.body.messages.map((m: { version: number; content: string }) => [m.version, m.content]),
    [
      [3, 'two'],
      [4, 'one, better']
    ]
  )
  const seen = (body: { messages: { is_mine: boolean; is_read: boolean; read_by: string[] }[] }) =>
    body.messages.map(({ is_mine, is_read, read_by }) => [is_mine, is_read, read_by])
  t.same(seen(all.body), [
    [true, false, []],
    [false, true, [ben.id]]
  ])
  const { body: synced } = await platform.client(ada).post('/sync', { cursors: { [id]: 1 } })
  t.same(
    seen(synced.conversations[0]),
    [
      [false, false, []],
      [true, true, [ben.id]]
    ],
    'each as who asks sees it'
  )
  t.same((await platform.client(ben).get(`/conversations/${id}/changes?since=4`)).body.messages, [])
  const cut = await platform.client(ben).get(`/conversations/${id}/changes?since=1&limit=1`)
  t.match(cut.body, { version: 3, has_more: true })
  t.equal(cut.body.messages.length, 1)
  isProblem(t, await platform.client(ben).get(`/conversations/${id}/changes?since=5`), 400, 'invalid_cursor')
  isProblem(t, await platform.client(ben).get(`/conversations/${id}/changes`), 400, 'invalid_request')
})

t.test('a sync tells what changed, what came, what is no longer mine and what must be read anew', async t => {
  const [nia, oz] = colleagues('Nia', 'Oz')
  const [old, fresh, future] = [await group(platform, nia, oz), await group(platform, nia, oz), await group(platform, nia, oz)]
  const foreign = await group(platform, stranger)
  await platform.client(oz).post(`/conversations/${old}/messages`, { content: 'missed' })

  const answer = await platform.client(nia, 1).post('/sync', { cursors: { [old.toUpperCase()]: 1, [future]: 7, [foreign]: 0 } })

  fits(t, answer, 200, ROUTES.sync.replies[200])
  t.same(
    answer.body.conversations.map((c: { conversation_id: string }) => c.conversation_id),
    [old]
  )
  t.equal(answer.body.conversations[0].messages[0].content, 'missed')
  t.same(
    answer.body.added.map((c: { id: string }) => c.id),
    [fresh]
  )
  t.same(answer.body.reset, [future])
  t.same(answer.body.removed, [foreign])
  t.equal(answer.body.has_more, false)
})
