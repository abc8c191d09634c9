import { randomUUID } from 'node:crypto'
import { ListMessages, type ListMessagesQuery, type Message } from '@parley/contracts'
import { failOnLeftovers } from '@parley/test-kit'
import t from 'tap'
import { setup, toSend, upTo } from './setup.ts'

failOnLeftovers(t)

const { people, group, sendAll, say, remove, ask, database } = await setup(t)
const [ada, bob, eve] = await people('Ada', 'Bob', 'Eve')
const [mallory] = await people('Mallory')
const { id: conversation_id } = await group(ada, bob)
const messages: Message[] = (await sendAll(upTo(120).map(n => toSend(n % 2 ? ada : bob, conversation_id, `${n}`)))).map(
  ({ message }) => message!
)
// A second for each: what is asked for by time needs times that differ.
await database.query("update messaging.messages set created_at = '2026-01-01T00:00:00Z'::timestamptz + seq * interval '1 s'")
const secondOf = (seq: number, ms = 0) => new Date(Date.UTC(2026, 0, 1, 0, 0, seq, ms)).toISOString()
const idOf = (seq: number) => messages[seq - 1]!.id

const list = (query: ListMessagesQuery = {}) => ask(ListMessages, bob, { conversation_id, query })
const range = async (query?: ListMessagesQuery) => {
  const { messages, has_more, has_before, has_after } = await list(query)
  const seqs = messages.map(({ seq }) => seq)
  t.same(
    seqs,
    upTo(seqs.length).map(n => n - 1 + (seqs[0] ?? 0)),
    'oldest first, without holes'
  )
  return { first: seqs[0], last: seqs.at(-1), has_more, has_before, has_after }
}

t.test('without a wish it is the newest fifty', async t => {
  t.same(await range(), { first: 71, last: 120, has_more: true, has_before: true, has_after: false })
  const page = await list()
  t.match(page, { conversation_id, total: 120, version: 121 })
  t.equal(page.pagination, undefined)
  t.match(page.messages[0], {
    content: '71',
    sender: { id: ada.id, display_name: 'Ada' },
    is_mine: false,
    is_read: true,
    read_by: [bob.id]
  })
})

t.test('before goes back from a seq, an id or a time, down to the first', async t => {
  for (const before of ['50', idOf(50), idOf(50).toUpperCase(), secondOf(50), secondOf(49, 1)]) {
    t.same(await range({ before, limit: 10 }), { first: 40, last: 49, has_more: true, has_before: true, has_after: true }, before)
  }
  t.same(await range({ before: '11', limit: 10 }), { first: 1, last: 10, has_more: false, has_before: false, has_after: true })
  t.same(await range({ before: '121', limit: 100 }), { first: 21, last: 120, has_more: true, has_before: true, has_after: false })
  t.match(await range({ before: '1' }), { first: undefined, has_more: false, has_before: false })
  t.match(await range({ before: secondOf(0) }), { first: undefined, has_more: false }, 'before anything was said')
  t.match(await range({ before: '2030-01-01T00:00:00Z', limit: 5 }), { first: 116, last: 120 })
  t.match(await range({ before: '2026-01-01T09:00:50+09:00', limit: 5 }), { first: 45, last: 49 }, 'a time of another zone')
})

t.test('after goes on from a seq or an id, up to the last', async t => {
  for (const after of ['50', idOf(50)]) {
    t.same(await range({ after, limit: 10 }), { first: 51, last: 60, has_more: true, has_before: true, has_after: true }, after)
  }
  t.same(await range({ after: '0', limit: 3 }), { first: 1, last: 3, has_more: true, has_before: false, has_after: true })
  t.same(await range({ after: '110', limit: 10 }), { first: 111, last: 120, has_more: false, has_before: true, has_after: false })
  t.match(await range({ after: '120' }), { first: undefined, has_more: false, has_after: false })
})

t.test('around stands in the middle, and at the ends it is still as much as was asked for', async t => {
  for (const around of ['60', idOf(60)]) t.match(await range({ around, limit: 10 }), { first: 55, last: 64, has_more: true })
  t.match(await range({ around: '1', limit: 10 }), { first: 1, last: 10, has_more: true, has_before: false, has_after: true })
  t.match(await range({ around: '120', limit: 10 }), { first: 111, last: 120, has_more: true, has_before: true, has_after: false })
  t.match(await range({ around: '3', limit: 1 }), { first: 3, last: 3 })
})

t.test('pages count from the newest, and every message is on one of them', async t => {
  const seen: number[] = []
  for (const page of upTo(6)) {
    const { messages, pagination } = await list({ page, page_size: 25 })
    t.same(pagination, { page, page_size: 25, total_items: 120, total_pages: 5, has_next: page < 5 })
    seen.unshift(...messages.map(({ seq }) => seq))
  }
  t.same(seen, upTo(120))
  t.match(await range({ page: 2, page_size: 10, before: '50' }), { first: 30, last: 39 }, 'pages of what came before')
  t.match(await range({ page: 1_000_000_000 }), { first: undefined, has_more: false })
})

t.test('a walk in either direction meets every message once', async t => {
  const back: number[] = []
  for (let before: string | undefined, more = true; more; ) {
    const page = await list({ limit: 37, ...(before !== undefined && { before }) })
    back.unshift(...page.messages.map(({ seq }) => seq))
    before = page.messages[0]!.id
    more = page.has_more
  }
  t.same(back, upTo(120))
  const on: number[] = []
  for (let after = '0', more = true; more; ) {
    const page = await list({ limit: 37, after })
    on.push(...page.messages.map(({ seq }) => seq))
    after = page.messages.at(-1)!.id
    more = page.has_more
  }
  t.same(on, upTo(120))
})

t.test('a cursor that is no place in this conversation is invalid, and named', async t => {
  const other = await group(ada, bob)
  const elsewhere = await say(ada, other.id, 'x')
  const wrong: ListMessagesQuery[] = [
    ...['0', '122', '-1', '1.5', 'abc', '', '9'.repeat(20), randomUUID(), elsewhere.id, '2026-13-01', 'yesterday'].map(before => ({
      before
    })),
    ...['121', '-1', 'abc', elsewhere.id, '2026-01-01T00:00:00Z'].map(after => ({ after })),
    ...['0', '121', elsewhere.id, '2026-01-01T00:00:00Z'].map(around => ({ around }))
  ]
  for (const query of wrong) {
    const [name, cursor] = Object.entries(query)[0]!
    const code = cursor === '' ? 'invalid_request' : 'invalid_cursor'
    if (cursor === '') await t.rejects(list(query), { code })
    else await t.rejects(list(query), { code, status: 400, errors: [{ path: `/${name}` }] }, JSON.stringify(query))
  }
  for (const query of [
    { before: '5', after: '2' },
    { after: '2', page: 1 },
    { around: '5', before: '9' },
    { limit: 0 },
    { limit: 101 },
    { page: 0 },
    { extra: 1 }
  ]) {
    await t.rejects(list(query as ListMessagesQuery), { name: 'AppError', status: 400 }, JSON.stringify(query))
  }
})

t.test('an empty conversation has an empty history in every form', async t => {
  const { id } = await group(ada, bob)
  for (const query of [{}, { after: '0' }, { before: '1' }, { page: 1 }, { before: secondOf(1) }]) {
    const { messages, has_more, total } = await ask(ListMessages, ada, { conversation_id: id, query })
    t.same([messages, has_more, total], [[], false, 0])
  }
  await t.rejects(ask(ListMessages, ada, { conversation_id: id, query: { around: '1' } }), { code: 'invalid_cursor' })
})

t.test('a history is read by participants alone; deleted messages keep their place in it', async t => {
  await t.rejects(ask(ListMessages, eve, { conversation_id, query: {} }), { code: 'not_a_participant', status: 403 })
  await t.rejects(ask(ListMessages, mallory, { conversation_id, query: {} }), { code: 'conversation_not_found', status: 404 })
  await remove(ada, messages[100]!)
  const { messages: listed } = await list({ around: '101', limit: 3 })
  t.match(
    listed.map(({ seq, content, is_deleted }) => ({ seq, content, is_deleted })),
    [
      { seq: 100, content: '100', is_deleted: false },
      { seq: 101, content: '', is_deleted: true },
      { seq: 102, content: '102', is_deleted: false }
    ]
  )
})
