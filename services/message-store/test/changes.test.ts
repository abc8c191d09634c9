import { randomUUID } from 'node:crypto'
import {
  type Changes,
  EnsureUsers,
  GetChanges,
  GetHeads,
  HEADS_MAX,
  HealConversation,
  type Message,
  type MyMessage,
  Sync
} from '@parley/contracts'
import { colleagues, failOnLeftovers, type Person, profileOf } from '@parley/test-kit'
import t from 'tap'
import { setup, toSend, upTo } from './setup.ts'

failOnLeftovers(t)

const { people, group, sendAll, say, edit, remove, ask, bus, database } = await setup(t)

const changesSince = (who: Person, conversation_id: string, since: number, limit?: number) =>
  ask(GetChanges, who, { conversation_id, query: { since, ...(limit !== undefined && { limit }) } })

/** A message as everyone sees it. */
const shared = ({ is_mine: _, is_read: __, read_by: ___, ...message }: MyMessage): Message => message

/** Puts changes in place by id, each only over an older one, as a client does. */
function apply(held: Map<string, Message>, { messages }: Pick<Changes, 'messages'>): void {
  for (const message of messages) if (message.version > (held.get(message.id)?.version ?? 0)) held.set(message.id, message)
}

t.test('changes since a version are whole objects, once each, at their newest', async t => {
  const [ada, bob] = await people('Ada', 'Bob')
  const { id } = await group(ada, bob)
  const [one, two] = [await say(ada, id, 'one'), await say(ada, id, 'two')]
  await edit(ada, one, 'edited')
  const again = await edit(ada, one, 'edited again')
  const gone = await remove(ada, two)

  const all = await changesSince(bob, id, 1)
  t.match(all, { conversation_id: id, from_version: 1, version: 6, has_more: false, participants: [] })
  t.same(all.messages.map(shared), [again, gone])
  t.equal(all.conversation, undefined)
  t.same((await changesSince(bob, id, 3)).messages.map(shared), [again, gone])
  t.same((await changesSince(bob, id, 5)).messages.map(shared), [gone])
  t.match(await changesSince(bob, id, 6), { from_version: 6, version: 6, has_more: false, messages: [] })
  const fromNothing = await changesSince(bob, id, 0)
  t.match(fromNothing, { conversation: { id, title: 'Group', version: 6, last_seq: 2 }, version: 6 })
  t.same(fromNothing.participants.map(({ user_id }) => user_id).sort(), [ada.id, bob.id].sort())
})

t.test('a cursor newer than the conversation is invalid; changes are for participants', async t => {
  const [ada, bob, eve] = await people('Ada', 'Bob', 'Eve')
  const [mallory] = await people('Mallory')
  const { id } = await group(ada, bob)
  await t.rejects(changesSince(ada, id, 2), { code: 'invalid_cursor', errors: [{ path: '/since' }] })
  await t.rejects(changesSince(eve, id, 0), { code: 'not_a_participant' })
  await t.rejects(changesSince(mallory, id, 0), { code: 'conversation_not_found' })
})

t.test('changes that are cut go on where they ended, without loss, while more is being changed', async t => {
  const [ada, bob] = await people('Ada', 'Bob')
  const { id } = await group(ada, bob)
  const messages = (await sendAll(upTo(200).map(n => toSend(ada, id, `${n}`)))).map(({ message }) => message!)
  const held = new Map<string, Message>()
  let since = 1
  let rounds = 0
  for (let more = true; more; rounds++) {
    const page = await changesSince(bob, id, since, 30)
    t.ok(page.messages.length <= 30)
    t.equal(page.from_version, since)
    t.ok(page.messages.every(({ version }) => version > since && version <= page.version))
    t.same(
      page.messages.map(({ version }) => version),
      page.messages.map(({ version }) => version).sort((a, b) => a - b)
    )
    apply(held, page)
    since = page.version
    more = page.has_more
    if (rounds < 3) await edit(ada, messages[rounds * 60]!, `edited in round ${rounds}`)
  }
  t.ok(rounds >= 7)
  t.equal(held.size, 200)
  t.equal(since, 1 + 200 + 3)
  for (const round of [0, 1, 2]) t.equal(held.get(messages[round * 60]!.id)!.content, `edited in round ${round}`)
})

t.test('changes are cut before they outgrow an answer, whatever they are made of', async t => {
  const [ada, bob] = await people('Ada', 'Bob')
  const { id } = await group(ada, bob)
  // What JSON doubles, and metadata that outweighs its message: eleven megabytes in all.
  const more = { metadata: { a: '"'.repeat(4_000) } }
  for (const _ of upTo(5)) {
    const lines = await sendAll(upTo(100).map(() => toSend(ada, id, '"'.repeat(5_000), more)))
    t.ok(lines.every(({ message }) => message))
  }
  const held = new Map<string, Message>()
  let since = 1
  let rounds = 0
  for (let more = true; more; rounds++) {
    const page = await changesSince(bob, id, since)
    t.ok(Buffer.byteLength(JSON.stringify(page)) < bus.maxPayload)
    apply(held, page)
    since = page.version
    more = page.has_more
  }
  t.ok(rounds > 1, `in ${rounds} parts`)
  t.equal(held.size, 500)
  t.equal(since, 501)
})

t.test('a sync tells of all conversations at once: what changed, what came, what went, what is held too new', async t => {
  const [ada, bob, cem] = await people('Ada', 'Bob', 'Cem')
  const [changed, same, newer, unknown, left, never] = await Promise.all(upTo(6).map(n => (n === 6 ? group(ada, cem) : group(ada, bob))))
  const message = await say(ada, changed!.id, 'changed')
  await database.query('update messaging.participants set is_active = false where conversation_id = $1 and user_id = $2', [
    left!.id,
    bob.id
  ])
  const nowhere = randomUUID()
  const cursors = { [changed!.id.toUpperCase()]: 1, [same!.id]: 1, [newer!.id]: 7, [left!.id]: 1, [never!.id]: 1, [nowhere]: 1 }

  const reply = await ask(Sync, bob, { cursors, added: true })

  t.equal(reply.has_more, false)
  t.same(
    reply.conversations.map(({ messages, conversation_id, version }) => ({
      conversation_id,
      version,
      messages: messages.map(seen => shared(seen as MyMessage))
    })),
    [{ conversation_id: changed!.id, version: 2, messages: [message] }]
  )
  t.same(reply.removed.sort(), [left!.id, never!.id, nowhere].sort())
  t.same(reply.reset, [newer!.id])
  t.same(
    reply.added.map(({ id }) => id),
    [unknown!.id]
  )
  t.match(reply.added[0], { participants: { length: 2 }, my: { role: 'member' }, unread_count: 0 })
  t.same((await ask(Sync, bob, { cursors, added: false })).added, [])
})

t.test('a sync that does not fit is asked again with what is then held, until nothing is missing', async t => {
  const [ada, bob] = await people('Ada', 'Bob')
  const groups = await Promise.all(upTo(8).map(() => group(ada, bob)))
  for (const { id } of groups.slice(0, 7)) await sendAll(upTo(130).map(n => toSend(ada, id, `${n}`)))
  const cursors: Record<string, number> = Object.fromEntries(groups.slice(0, 7).map(({ id }) => [id, 1]))
  const held = new Map<string, Message>()
  const added = new Set<string>()
  let rounds = 0
  for (let more = true; more; rounds++) {
    const reply = await ask(Sync, bob, { cursors, added: true })
    t.ok(reply.conversations.reduce((sum, { messages }) => sum + messages.length, 0) <= 500)
    for (const changes of reply.conversations) {
      t.equal(changes.from_version, cursors[changes.conversation_id])
      apply(held, changes)
      cursors[changes.conversation_id] = changes.version
    }
    for (const { id, version } of reply.added) {
      added.add(id)
      cursors[id] = version
    }
    more = reply.has_more
    if (rounds > 10) throw new Error('it does not come to an end')
  }
  t.equal(held.size, 7 * 130)
  t.same([...added], [groups[7]!.id])
  t.equal(rounds, 2)
})

t.test('people of large conversations are told all of them, in as many parts as it takes', async t => {
  const crowd = colleagues(...upTo(1_000).map(n => `Person ${n}`))
  for (const part of [0, 500]) await bus.request(EnsureUsers, { users: crowd.slice(part, part + 500).map(profileOf) })
  const ids = (await Promise.all(upTo(3).map(() => group(crowd[0]!, crowd[1]!)))).map(({ id }) => id)
  // Past the service, which would tell each of them of each conversation.
  await database.query(
    `insert into messaging.participants (conversation_id, user_id, org_id, joined_at)
     select c, u.id, u.org_id, now() from unnest($1::uuid[]) c, messaging.users u where u.org_id = $2 on conflict do nothing`,
    [ids, crowd[0]!.org_id]
  )
  const cursors: Record<string, number> = Object.fromEntries(ids.map(id => [id, 0]))
  const told = new Map<string, number>()
  for (let more = true; more; ) {
    const { conversations, has_more } = await ask(Sync, crowd[7]!, { cursors, added: false })
    for (const { conversation_id, version, participants } of conversations) {
      told.set(conversation_id, participants.length)
      cursors[conversation_id] = version
    }
    more = has_more
  }
  t.same(told, new Map(ids.map(id => [id, 1_000])))
})

t.test('a sync has five hundred objects at most, of whatever kind', async t => {
  const crowd = colleagues(...upTo(300).map(n => `Person ${n}`))
  await bus.request(EnsureUsers, { users: crowd.map(profileOf) })
  const ids = (await Promise.all(upTo(4).map(() => group(crowd[0]!, crowd[1]!)))).map(({ id }) => id)
  const unknown = (await Promise.all(upTo(3).map(() => group(crowd[0]!, crowd[1]!)))).map(({ id }) => id)
  // As if they had come one after the other.
  await database.query(
    `with came as (
       insert into messaging.participants (conversation_id, user_id, org_id, joined_at, version, joined_version)
       select c, u.id, u.org_id, now(), n, n from unnest($1::uuid[]) c, (
         select id, org_id, 1 + row_number() over (order by id) as n from messaging.users where org_id = $2 and id <> all($3::uuid[])) u
       returning 1
     ) update messaging.conversations set version = 299 where id = any($1::uuid[])`,
    [ids, crowd[0]!.org_id, [crowd[0]!.id, crowd[1]!.id]]
  )
  const last = await Promise.all(ids.map(id => say(crowd[0]!, id, 'the last')))
  const cursors: Record<string, number> = Object.fromEntries(ids.map(id => [id, 0]))
  const told = new Map<string, Set<string>>(ids.map(id => [id, new Set()]))
  const messages: string[] = []
  const added: string[] = []
  for (let more = true; more; ) {
    const reply = await ask(Sync, crowd[1]!, { cursors, added: true })
    const objects = reply.conversations.flatMap(c => [...c.messages, ...c.participants, ...(c.conversation ? [1] : [])])
    t.ok(objects.length + reply.added.length <= 500, `${objects.length} and ${reply.added.length}`)
    for (const changes of reply.conversations) {
      t.equal(changes.from_version, cursors[changes.conversation_id])
      for (const { user_id } of changes.participants) told.get(changes.conversation_id)!.add(user_id)
      messages.push(...changes.messages.map(({ id }) => id))
      cursors[changes.conversation_id] = changes.version
    }
    added.push(...reply.added.map(({ id }) => id))
    for (const { id, version } of reply.added) cursors[id] = version
    more = reply.has_more
  }
  t.same(
    [...told.values()].map(({ size }) => size),
    ids.map(() => 300)
  )
  t.same(messages.sort(), last.map(({ id }) => id).sort())
  t.same(added.sort(), unknown.sort())
})

t.test('conversations that came are told fifty at a time', async t => {
  const [ada, bob] = await people('Ada', 'Bob')
  const ids: string[] = []
  for (const _ of upTo(6)) ids.push(...(await Promise.all(upTo(20).map(() => group(ada, bob)))).map(({ id }) => id))
  const cursors: Record<string, number> = {}
  const sizes: number[] = []
  for (let more = true; more; ) {
    const { added, has_more } = await ask(Sync, bob, { cursors, added: true })
    sizes.push(added.length)
    for (const { id, version } of added) cursors[id] = version
    more = has_more
  }
  t.same(sizes, [50, 50, 20])
  t.same(Object.keys(cursors).sort(), ids.sort())
})

t.test('a gateway heals what it missed, and compares versions of thousands of conversations in one question', async t => {
  const [ada, bob] = await people('Ada', 'Bob')
  const { id } = await group(ada, bob)
  const messages = (await sendAll(upTo(3).map(n => toSend(ada, id, `${n}`)))).map(({ message }) => message!)

  t.match(await bus.request(HealConversation, { conversation_id: id, since: 2 }), {
    from_version: 2,
    version: 4,
    messages: messages.slice(1)
  })
  await t.rejects(bus.request(HealConversation, { conversation_id: randomUUID(), since: 0 }), { code: 'conversation_not_found' })
  const { versions } = await bus.request(GetHeads, { conversation_ids: [id, ...upTo(999).map(() => randomUUID())] })
  t.same(versions, [[id, 4]])
  await t.rejects(bus.request(GetHeads, { conversation_ids: upTo(HEADS_MAX + 1).map(() => id) }), { code: 'invalid_request' })
})
