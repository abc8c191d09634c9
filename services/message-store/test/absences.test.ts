import {
  AddParticipant,
  type Changes,
  GetChanges,
  GetConversation,
  GetMessage,
  GetUnread,
  HealConversation,
  ListMessages,
  type ListMessagesQuery,
  ListReceipts,
  ListRevisions,
  MarkRead,
  type Message,
  OpenUsers,
  RemoveParticipant,
  Sync
} from '@parley/contracts'
import { failOnLeftovers, type Person } from '@parley/test-kit'
import t from 'tap'
import { type Range, Visible } from '../src/visible.ts'
import { seeded, setup, upTo } from './setup.ts'

failOnLeftovers(t)

const { people, group, say, edit, ask, bus, database } = await setup(t)

const add = (who: Person, conversation_id: string, { id }: Person) => ask(AddParticipant, who, { conversation_id, user_id: id })
const remove = (who: Person, conversation_id: string, { id }: Person) => ask(RemoveParticipant, who, { conversation_id, user_id: id })
const list = (who: Person, conversation_id: string, query: ListMessagesQuery = {}) => ask(ListMessages, who, { conversation_id, query })
const seqs = ({ messages }: { messages: { seq: number }[] }) => messages.map(({ seq }) => seq)
const changes = async (who: Person, conversation_id: string, since = 0): Promise<Changes> =>
  ask(GetChanges, who, { conversation_id, query: { since } })

/** Ada and Bob talk (1 to 5), Cem comes (6) and they go on (7, 8). */
async function withNewcomer() {
  const [ada, bob, cem] = await people('Ada', 'Bob', 'Cem')
  const { id } = await group(ada, bob)
  const before: Message[] = []
  for (const n of upTo(5)) before.push(await say(n % 2 ? ada : bob, id, `secret ${n}`))
  await edit(ada, before[0]!, 'secret, edited')
  await add(ada, id, cem)
  for (const n of [7, 8]) await say(ada, id, `open ${n}`)
  return { ada, bob, cem, id, before }
}

t.test('who comes later sees the history from their coming on, whichever way they ask', async t => {
  const { ada, cem, id, before } = await withNewcomer()
  const all = await list(cem, id)
  t.same(seqs(all), [6, 7, 8])
  t.match(all, { total: 3, has_more: false, has_before: false, has_after: false })
  t.same(seqs(await list(cem, id, { after: '0' })), [6, 7, 8])
  t.same(seqs(await list(cem, id, { after: '3', limit: 2 })), [6, 7])
  t.same(seqs(await list(cem, id, { around: '2', limit: 2 })), [6, 7], 'the place nearest to it')
  t.match(await list(cem, id, { before: '6' }), { messages: [], has_more: false })
  t.match(await list(cem, id, { before: '3' }), { messages: [], has_more: false })
  t.same(seqs(await list(cem, id, { before: new Date().toISOString(), limit: 2 })), [7, 8])
  const second = await list(cem, id, { page: 2, page_size: 2 })
  t.same(seqs(second), [6])
  t.match(second.pagination, { total_items: 3, total_pages: 2, has_next: false })
  for (const name of ['before', 'after', 'around'] as const)
    await t.rejects(list(cem, id, { [name]: before[2]!.id }), { code: 'invalid_cursor' }, `${name} a message that they cannot know of`)
  t.match(await list(ada, id), { total: 8 }, 'others see it all')
})

t.test('a message that was said before is not there for who came later, alone or in what changed', async t => {
  const { ada, cem, id, before } = await withNewcomer()
  for (const { id: message_id } of before) {
    await t.rejects(ask(GetMessage, cem, { message_id }), { code: 'message_not_found', status: 404 })
    await t.rejects(ask(ListReceipts, cem, { message_id }), { code: 'message_not_found' })
    await t.rejects(ask(ListRevisions, cem, { message_id }), { code: 'message_not_found' })
    await t.rejects(ask(MarkRead, cem, { conversation_id: id, message_id }), { code: 'message_not_found' })
  }
  await edit(ada, before[2]!, 'secret, edited late')

  const changed = await changes(cem, id)
  t.same(seqs(changed), [6, 7, 8])
  const { conversations } = await ask(Sync, cem, { cursors: { [id]: 3 }, added: true })
  t.same(seqs(conversations[0]!), [6, 7, 8])
  t.equal(conversations[0]!.version, changed.version)
  t.notMatch(JSON.stringify([changed, conversations, await ask(GetConversation, cem, { conversation_id: id })]), 'secret')
  t.match(JSON.stringify(await changes(ada, id)), 'secret, edited late', 'others get the edit')
})

t.test('what was said before is never unread for who came later, and never read by them', async t => {
  const { ada, bob, cem, id, before } = await withNewcomer()
  t.match(await ask(GetConversation, cem, { conversation_id: id }), { unread_count: 2, first_unread_seq: 7, my: { last_read_seq: 6 } })
  t.same(await ask(GetUnread, cem, {}), {
    total: 2,
    mention_total: 0,
    conversations: [{ conversation_id: id, unread_count: 2, mention_count: 0 }]
  })
  const { states } = await bus.request(OpenUsers, { users: [{ user_id: cem.id, org_id: cem.org_id }] })
  t.equal(states[0]!.unread_total, 2)
  t.match(await ask(MarkRead, cem, { conversation_id: id }), { marked_read: 2, unread_count: 0, last_read_seq: 8 })

  const message_id = before[0]!.id
  await ask(MarkRead, bob, { conversation_id: id })
  t.match(await ask(GetMessage, ada, { message_id }), { is_read: true, read_by: [bob.id] })
  t.same(
    (await ask(ListReceipts, ada, { message_id })).read_by.map(({ user_id }) => user_id),
    [bob.id]
  )
  const { messages } = await list(ada, id)
  t.same(
    messages.map(({ read_by }) => read_by.includes(cem.id)),
    upTo(8).map(seq => seq >= 6)
  )
})

t.test('who comes back sees what was said while they belonged and since, and nothing in between', async t => {
  const [ada, bob] = await people('Ada', 'Bob')
  const { id } = await group(ada, bob)
  for (const n of [1, 2, 3]) await say(ada, id, `together ${n}`)
  await remove(ada, id, bob)
  const away = []
  for (const n of [5, 6, 7]) away.push(await say(ada, id, `alone ${n}`))
  t.same((await ask(Sync, bob, { cursors: { [id]: 4 }, added: true })).removed, [id], 'while away the conversation is none of theirs')
  await add(ada, id, bob)
  await say(ada, id, 'again 9')

  t.same(seqs(await list(bob, id)), [1, 2, 3, 8, 9])
  t.match(await list(bob, id), { total: 5 })
  t.same(seqs(await list(bob, id, { limit: 2, before: '9' })), [3, 8], 'a page is full, across what is hidden')
  t.same(seqs(await list(bob, id, { limit: 3, after: '2' })), [3, 8, 9])
  t.same(seqs(await list(bob, id, { page: 2, page_size: 3 })), [1, 2])
  t.same(seqs(await changes(bob, id)), [1, 2, 3, 8, 9])
  await t.rejects(ask(GetMessage, bob, { message_id: away[0]!.id }), { code: 'message_not_found' })
  t.match(await ask(GetConversation, bob, { conversation_id: id }), { unread_count: 1, first_unread_seq: 9 })
  t.notMatch(JSON.stringify([await list(bob, id), await changes(bob, id)]), 'alone')

  await remove(bob, id, bob)
  await say(ada, id, 'alone 11')
  await add(ada, id, bob)
  t.same(seqs(await list(bob, id)), [1, 2, 3, 8, 9, 12], 'and once more')
})

t.test('a conversation that shares its history hides nothing from who comes later', async t => {
  const [ada, bob, cem] = await people('Ada', 'Bob', 'Cem')
  const { id } = await group(ada, bob)
  await database.query("update messaging.conversations set type = 'project', history = 'all' where id = $1", [id])
  const first = await say(ada, id, 'for everyone')
  await add(ada, id, cem)
  t.same(seqs(await list(cem, id)), [1, 2])
  t.same(seqs(await changes(cem, id)), [1, 2])
  t.match(await ask(GetMessage, cem, { message_id: first.id }), { content: 'for everyone' })
  await remove(ada, id, cem)
  await say(ada, id, 'while away')
  await add(ada, id, cem)
  t.same(seqs(await list(cem, id)), [1, 2, 3, 4, 5])
  t.equal((await ask(GetUnread, cem, {})).total, 0, 'and none of it is news')
})

t.test('what a gateway missed is told in parts that end where somebody came or left', async t => {
  const [ada, bob, cem] = await people('Ada', 'Bob', 'Cem')
  const { id } = await group(ada, bob)
  await say(ada, id, 'one')
  await add(ada, id, cem)
  await remove(ada, id, bob)
  await say(ada, id, 'two')
  const parts: [from: number, to: number, has_more: boolean][] = []
  const heard: number[] = []
  for (let since = 1, has_more = true; has_more; ) {
    const part = await bus.request(HealConversation, { conversation_id: id, since })
    parts.push([part.from_version, part.version, part.has_more])
    heard.push(...part.messages.map(({ version }) => version))
    for (const { user_id, is_active } of part.participants) t.equal(is_active, user_id === cem.id)
    since = part.version
    has_more = part.has_more
  }
  t.same(parts, [
    [1, 3, true],
    [3, 5, true],
    [5, 7, false]
  ])
  t.same(heard, [2, 4, 6, 7])
})

t.test('more people than one answer holds, who came and left, are told in parts', async t => {
  const [ada] = await people('Ada')
  const { id } = await group(ada)
  await say(ada, id, 'the first')
  // 2,500 who came and left, a version each, as years make them.
  await database.query(
    `with gone as (
       insert into messaging.users (org_id, id, username, display_name)
       select $2::uuid, gen_random_uuid(), 'gone', 'Gone' from generate_series(1, 2500) returning id
     )
     insert into messaging.participants (conversation_id, user_id, org_id, is_active, joined_at, version, left_seq)
     select $1, id, $2::uuid, false, now(), 2 + row_number() over (), 0 from gone`,
    [id, ada.org_id]
  )
  await database.query('update messaging.conversations set version = 2502 where id = $1', [id])
  await database.query('analyze messaging.participants, messaging.users')
  await say(ada, id, 'the last')

  const persons = new Set<string>()
  const contents: string[] = []
  let since = 0
  let rounds = 0
  for (let has_more = true; has_more && rounds < 10; rounds++) {
    const part = await changes(ada, id, since)
    for (const { user_id } of part.participants) persons.add(user_id)
    for (const { content } of part.messages) contents.push(content)
    t.ok(part.version > since, 'each part goes on')
    since = part.version
    has_more = part.has_more
  }
  t.equal(since, 2_503)
  t.equal(persons.size, 2_501)
  t.same(contents, ['the first', 'the last'])
  t.ok(rounds >= 2)
  const { conversations, has_more } = await ask(Sync, ada, { cursors: { [id]: 0 }, added: false })
  t.equal(has_more, true)
  t.ok(conversations[0]!.version > 400, 'five hundred objects, each at a version of its own')
})

t.test('counting what is seen agrees with looking at each message, for any absences', async t => {
  for (const seed of upTo(200)) {
    const random = seeded(seed)
    const last_seq = 1 + random(40)
    const hidden: Range[] = []
    for (let from = 1 + random(6); from < last_seq; from += 2 + random(6)) {
      const until = Math.min(last_seq - 1, from + random(6))
      hidden.push([from, until])
      from = until
    }
    const visible = new Visible(last_seq, hidden)
    const seen = upTo(last_seq).filter(seq => !hidden.some(([from, until]) => from <= seq && seq <= until))
    const of = (ranges: Range[]) => ranges.flatMap(([from, until]) => upTo(until - from + 1).map(n => from + n - 1))
    const first = 1 + random(seen.length)
    const last = first + random(seen.length - first + 1)
    t.same(
      {
        count: visible.count,
        sees: upTo(last_seq).filter(seq => visible.sees(seq)),
        seqs: seen.map((_, index) => visible.seqOf(index + 1)),
        upTo: upTo(last_seq).map(seq => visible.upTo(seq)),
        between: of(visible.between(first, last)),
        none: visible.between(last + 1, last)
      },
      {
        count: seen.length,
        sees: seen,
        seqs: seen,
        upTo: upTo(last_seq).map(seq => seen.filter(other => other <= seq).length),
        between: seen.slice(first - 1, last),
        none: []
      },
      `seed ${seed}: ${JSON.stringify(hidden)} of ${last_seq}`
    )
  }
})
