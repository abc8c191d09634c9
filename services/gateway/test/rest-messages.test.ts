import { randomUUID } from 'node:crypto'
import { ROUTES } from '@parley/contracts'
import { colleagues, failOnLeftovers, person, startPlatform } from '@parley/test-kit'
import t from 'tap'
import { fits, group, isProblem, known } from './expect.ts'

failOnLeftovers(t)
const platform = await startPlatform(t, { gateways: 2 })
const [ada, ben, cleo] = colleagues('Ada', 'Ben', 'Cleo')
const stranger = person({ name: 'Stranger' })
await known(platform, ada, ben, cleo, stranger)
const asAda = platform.client(ada)
const asBen = platform.client(ben, 1)
type Page = { body: { messages: { seq: number; id: string }[] } }
const seqs = ({ body }: Page) => body.messages.map(({ seq }) => seq)

t.test('a message that is sent answers 201 with the message whole, as its sender sees it', async t => {
  const id = await group(platform, ada, ben)
  const parent = (await asBen.post(`/conversations/${id}/messages`, { content: 'question' })).body

  const answer = await asAda.post(`/conversations/${id.toUpperCase()}/messages`, {
    content: '  an answer\r\nof two lines \u{1f600} ',
    content_type: 'text',
    reply_to_id: parent.id,
    client_message_id: 'mine-1',
    metadata: { a: [1, 2, { b: null }] },
    attachments: []
  })

  fits(t, answer, 201, ROUTES.sendMessage.replies[201])
  t.match(answer.body, {
    conversation_id: id,
    seq: 2,
    version: 3,
    sender_id: ada.id,
    sender: { id: ada.id, username: 'ada', display_name: 'Ada', avatar_url: null },
    content: 'an answer\nof two lines \u{1f600}',
    content_type: 'text',
    attachments: [],
    reply_to_id: parent.id,
    reply_count: 0,
    mentions: [],
    reactions: [],
    metadata: { a: [1, 2, { b: null }] },
    client_message_id: 'mine-1',
    is_edited: false,
    edited_at: null,
    is_deleted: false,
    deleted_at: null,
    is_pinned: false,
    is_mine: true,
    is_read: false,
    read_by: []
  })
  t.notOk('duplicate' in answer.body)
  t.match(answer.body.id, /^[0-9a-f]{8}-[0-9a-f]{4}-7/)

  const read = await asBen.get(`/messages/${answer.body.id}`)
  fits(t, read, 200, ROUTES.getMessage.replies[200])
  const { is_mine, is_read, read_by, ...shared } = read.body
  t.same([is_mine, is_read, read_by], [false, false, []])
  t.match(answer.body, shared, 'everyone sees the same message')
  t.equal((await asBen.get(`/messages/${parent.id}`)).body.reply_count, 1)
  t.equal((await asAda.get(`/conversations/${id}`)).body.my.last_read_seq, 2, 'sending moves one’s own position')
})

t.test('a send that is repeated answers 200 with the message that stands and duplicate, never a second one', async t => {
  const id = await group(platform, ada, ben)
  const send = { content: 'once', client_message_id: randomUUID() }
  const first = await asAda.post(`/conversations/${id}/messages`, send)
  const again = await platform.client(ada, 1).post(`/conversations/${id}/messages`, { ...send, content: ' once ' })

  fits(t, again, 200, ROUTES.sendMessage.replies[200])
  t.same(again.body, { ...first.body, duplicate: true })
  isProblem(t, await asAda.post(`/conversations/${id}/messages`, { ...send, content: 'twice' }), 409, 'idempotency_mismatch')
  await asBen.post(`/conversations/${id}/read`)
  const read = await asAda.post(`/conversations/${id}/messages`, send)
  fits(t, read, 200, ROUTES.sendMessage.replies[200])
  t.same(read.body, { ...first.body, is_read: true, read_by: [ben.id], duplicate: true }, 'as it stands now')
  const others = await asBen.post(`/conversations/${id}/messages`, send)
  t.equal(others.status, 201, 'the id is unique to its sender')

  await asAda.delete(`/messages/${first.body.id}`)
  const deleted = await asAda.post(`/conversations/${id}/messages`, send)
  t.equal(deleted.status, 200)
  t.match(deleted.body, { id: first.body.id, is_deleted: true, content: '', duplicate: true }, 'after its deletion it is the deleted one')
  t.equal((await asAda.get(`/conversations/${id}`)).body.last_seq, 2)
})

t.test('the Idempotency-Key header says the same as the field, which goes first', async t => {
  const id = await group(platform, ada, ben)
  const send = (content: string, key: string, more = {}) =>
    asAda.post(`/conversations/${id}/messages`, { content, ...more }, { 'idempotency-key': key })

  const first = await send('by header', 'key-1')
  t.equal(first.status, 201)
  t.equal(first.body.client_message_id, 'key-1')
  const again = await send('by header', 'key-1')
  t.same([again.status, again.body.id, again.body.duplicate], [200, first.body.id, true])
  isProblem(t, await send('other', 'key-1'), 409, 'idempotency_mismatch')
  t.equal((await send('both', 'key-1', { client_message_id: 'field' })).body.client_message_id, 'field')
  isProblem(t, await send('long', 'k'.repeat(65)), 400, 'invalid_request')
  isProblem(t, await send('empty', ''), 400, 'invalid_request')
})

t.test('a hundred who send the same client_message_id at once over two gateways make one message', async t => {
  const id = await group(platform, ada, ben)
  const send = { content: 'race', client_message_id: randomUUID() }

  const answers = await Promise.all(
    Array.from({ length: 100 }, (_, n) => platform.client(ada, n % 2).post(`/conversations/${id}/messages`, send))
  )

  t.equal(answers.filter(({ status }) => status === 201).length, 1)
  t.equal(answers.filter(({ status, body }) => status === 200 && body.duplicate === true).length, 99)
  t.equal(new Set(answers.map(({ body }) => JSON.stringify({ ...body, duplicate: true }))).size, 1, 'all answers say the same')
  t.equal((await asBen.get(`/conversations/${id}/messages`)).body.total, 1)
})

t.test('a message to a person makes the direct conversation where there is none', async t => {
  const first = await asAda.post('/messages', { recipient_id: cleo.id, content: 'hello', client_message_id: 'm-1' })
  fits(t, first, 201, ROUTES.sendToPerson.replies[201])
  const again = await asAda.post('/messages', { recipient_id: cleo.id, content: 'hello', client_message_id: 'm-1' })
  fits(t, again, 200, ROUTES.sendToPerson.replies[200])
  t.same([again.body.id, again.body.duplicate], [first.body.id, true])
  const back = await platform.client(cleo, 1).post('/messages', { recipient_id: ada.id, content: 'hi' })
  t.same([back.body.conversation_id, back.body.seq], [first.body.conversation_id, 2], 'the answer goes to the same one')
  t.equal((await asAda.get(`/conversations/${first.body.conversation_id}`)).body.type, 'direct')

  isProblem(t, await asAda.post('/messages', { recipient_id: ada.id, content: 'me' }), 400, 'self_conversation')
  isProblem(t, await asAda.post('/messages', { recipient_id: stranger.id, content: 'x' }), 404, 'user_not_found')
  isProblem(t, await asAda.post('/messages', { content: 'x' }), 400, 'invalid_request')
  isProblem(t, await asAda.post('/messages', { recipient_id: 'cleo', content: 'x' }), 400, 'invalid_request')
})

t.test('content is 1 to 5,000 code points after trimming', async t => {
  const id = await group(platform, ada, ben)
  const send = (content: unknown) => asAda.post(`/conversations/${id}/messages`, { content })

  t.equal((await send('x'.repeat(5_000))).status, 201)
  const emoji = await send(`\n ${'\u{1f600}'.repeat(5_000)} `)
  t.equal(emoji.status, 201, '5,000 characters of four bytes')
  t.equal([...emoji.body.content].length, 5_000)
  isProblem(t, await send('x'.repeat(5_001)), 400, 'content_too_long')
  isProblem(t, await send('\u{1f600}'.repeat(5_001)), 400, 'content_too_long')
  isProblem(t, await send('x'.repeat(30_000)), 400, 'content_too_long')
  for (const blank of ['', '   ', '\n\t', '\u200b\u200d\ufeff', '\u0301', '\u3164', '\u0007'])
    isProblem(t, await send(blank), 400, 'content_empty', JSON.stringify(blank))
  isProblem(t, await send(undefined), 400, 'invalid_request')
  isProblem(t, await send(7), 400, 'invalid_request')
})

t.test('histories are read by cursors: before, after and around a seq or an id, or before a time', async t => {
  const id = await group(platform, ada, ben)
  const sent: { id: string; created_at: string }[] = []
  for (let n = 1; n <= 7; n++) sent.push((await asAda.post(`/conversations/${id}/messages`, { content: `${n}` })).body)
  const list = (query: string) => asBen.get(`/conversations/${id}/messages?${query}`)

  const all = await asBen.get(`/conversations/${id}/messages`)
  fits(t, all, 200, ROUTES.listMessages.replies[200])
  t.same(seqs(all), [1, 2, 3, 4, 5, 6, 7], 'oldest first')
  t.match(all.body, { conversation_id: id, has_more: false, total: 7, version: 8 })
  t.notOk('pagination' in all.body)

  const newest = await list('limit=3')
  t.same([seqs(newest), newest.body.has_more], [[5, 6, 7], true])
  const before = await list('limit=3&before=5')
  t.same([seqs(before), before.body.has_more], [[2, 3, 4], true])
  t.same(seqs(await list(`limit=3&before=${sent[4]!.id}`)), [2, 3, 4], 'by the id of a message')
  const first = await list('limit=3&before=2')
  t.same([seqs(first), first.body.has_more], [[1], false])
  const after = await list('limit=2&after=3')
  t.same([seqs(after), after.body.has_more], [[4, 5], true])
  t.same(seqs(await list('after=0&limit=2')), [1, 2])
  t.same([seqs(await list('after=7')), (await list('after=7')).body.has_more], [[], false])
  const around = await list(`around=${sent[3]!.id}&limit=3`)
  t.same(seqs(around), [3, 4, 5])
  t.equal(around.body.has_more, true)
  t.same(seqs(await list(`before=${encodeURIComponent(sent[0]!.created_at)}`)), [], 'before the first time')
  t.same(seqs(await list('before=2100-01-01T00:00:00Z')).length, 7)
})

t.test('histories are read by pages: page 1 is the newest, inside a page the oldest is first', async t => {
  const id = await group(platform, ada, ben)
  for (let n = 1; n <= 7; n++) await asAda.post(`/conversations/${id}/messages`, { content: `${n}` })
  const page = (query: string) => asBen.get(`/conversations/${id}/messages?${query}`)

  const one = await page('page=1&page_size=3')
  fits(t, one, 200, ROUTES.listMessages.replies[200])
  t.same(seqs(one), [5, 6, 7])
  t.same(one.body.pagination, { page: 1, page_size: 3, total_items: 7, total_pages: 3, has_next: true })
  t.same(seqs(await page('page=2&page_size=3')), [2, 3, 4])
  const last = await page('page=3&page_size=3')
  t.same([seqs(last), last.body.pagination.has_next], [[1], false])
  t.same(seqs(await page('page=4&page_size=3')), [])
  t.same(seqs(await page('page_size=2')), [6, 7], 'a page size alone is page 1')
})

t.test('an edit keeps what was said before, and everyone sees the new content', async t => {
  const id = await group(platform, ada, ben)
  const { body: message } = await asAda.post(`/conversations/${id}/messages`, { content: 'frist' })

  const edited = await platform.client(ada, 1).patch(`/messages/${message.id}`, { content: ' first ' })
  fits(t, edited, 200, ROUTES.editMessage.replies[200])
  t.match(edited.body, { id: message.id, seq: 1, version: 3, content: 'first', is_edited: true, edited_at: String, is_mine: true })
  await asAda.patch(`/messages/${message.id}`, { content: 'FIRST' })

  const history = await asBen.get(`/messages/${message.id}/history`)
  fits(t, history, 200, ROUTES.history.replies[200])
  t.same(
    history.body.revisions.map((r: { content: string; edited_by: string }) => [r.content, r.edited_by]),
    [
      ['frist', ada.id],
      ['first', ada.id]
    ]
  )

  isProblem(t, await asBen.patch(`/messages/${message.id}`, { content: 'mine' }), 403, 'not_the_sender')
  isProblem(t, await asAda.patch(`/messages/${message.id}`, { content: ' ' }), 400, 'content_empty')
  isProblem(t, await asAda.patch(`/messages/${message.id}`, { content: 'x'.repeat(5_001) }), 400, 'content_too_long')
  isProblem(t, await asAda.patch(`/messages/${message.id}`, { content: 'x', seq: 9 }), 400, 'unknown_field')
  isProblem(t, await asAda.patch(`/messages/${randomUUID()}`, { content: 'x' }), 404, 'message_not_found')
})

t.test('a deleted message keeps its place and loses what it said; a second delete answers like the first', async t => {
  const id = await group(platform, ada, ben)
  const { body: message } = await asAda.post(`/conversations/${id}/messages`, { content: 'oops', metadata: { secret: 1 } })
  await asAda.patch(`/messages/${message.id}`, { content: 'oops, edited' })
  isProblem(t, await asBen.delete(`/messages/${message.id}`), 403, 'not_the_sender')

  const first = await asAda.delete(`/messages/${message.id}`)
  fits(t, first, 200, ROUTES.deleteMessage.replies[200])
  t.match(first.body, { success: true, message: 'Message deleted successfully', id: message.id, conversation_id: id, version: 4 })
  const second = await platform.client(ada, 1).delete(`/conversations/${id}/messages/${message.id}`)
  fits(t, second, 200, ROUTES.deleteMessageIn.replies[200])
  t.same(second.body, first.body)

  const { body: read } = await asBen.get(`/messages/${message.id}`)
  t.match(read, { seq: 1, is_deleted: true, deleted_at: first.body.deleted_at, content: '', attachments: [], reactions: [] })
  t.same((await asBen.get(`/messages/${message.id}/history`)).body.revisions, [], 'what it said before is gone too')
  t.notMatch(JSON.stringify((await asBen.get(`/conversations/${id}/messages`)).body), /oops|secret/)
  isProblem(t, await asAda.patch(`/messages/${message.id}`, { content: 'back' }), 409, 'message_deleted')
  isProblem(t, await asAda.delete(`/conversations/${await group(platform, ada)}/messages/${message.id}`), 404, 'message_not_found')
  isProblem(t, await asAda.post(`/conversations/${id}/messages`, { content: 're', reply_to_id: message.id }), 400, 'invalid_reply')
})

t.test('receipts tell who read a message and when', async t => {
  const id = await group(platform, ada, ben, cleo)
  const { body: message } = await asAda.post(`/conversations/${id}/messages`, { content: 'read me' })
  t.same((await asAda.get(`/messages/${message.id}/receipts`)).body, { read_by: [] })

  await asBen.post(`/conversations/${id}/read`, { message_id: message.id })

  const receipts = await asAda.get(`/messages/${message.id}/receipts`)
  fits(t, receipts, 200, ROUTES.receipts.replies[200])
  t.same(
    receipts.body.read_by.map((r: { user_id: string }) => r.user_id),
    [ben.id],
    'not its sender'
  )
  t.match((await asAda.get(`/messages/${message.id}`)).body, { is_read: true, read_by: [ben.id] })
  t.match((await platform.client(cleo).get(`/messages/${message.id}`)).body, { is_mine: false, is_read: false, read_by: [ben.id] })
  t.match((await asBen.get(`/messages/${message.id}`)).body, { is_read: true })
})
