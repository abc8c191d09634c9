import { GetConversation, GetMe, GetUnread, ListConversations, MarkRead, type Message, OpenUsers } from '@parley/contracts'
import { failOnLeftovers, type Person, until } from '@parley/test-kit'
import t from 'tap'
import { seeded, setup, toSend, upTo } from './setup.ts'

failOnLeftovers(t)

const { people, group, sendAll, say, edit, remove, ask, bus, database } = await setup(t)

t.test('unread counts are what a recount says, through any mix of sending, editing, deleting and reading', async t => {
  for (const seed of [1, 2026]) {
    const random = seeded(seed)
    const [ada, bob, cem] = await people('Ada', 'Bob', 'Cem')
    const three = [ada, bob, cem]
    const { id } = await group(ada, bob, cem)
    const messages: { message: Message; deleted: boolean; system: boolean }[] = []
    const position = new Map(three.map(who => [who.id, 0]))
    const counted = (who: Person, from: number, to: number) =>
      messages.filter(m => m.message.seq > from && m.message.seq <= to && m.message.sender_id !== who.id && !m.deleted && !m.system)

    const step = async (who: Person) => {
      const one = messages[random(messages.length)]
      const dice = random(100)
      if (dice < 45 || !one) {
        const lines = await sendAll(upTo(1 + random(3)).map(n => toSend(who, id, `${n}`)))
        for (const { message } of lines) messages.push({ message: message!, deleted: false, system: false })
        position.set(who.id, messages.length)
      } else if (dice < 55) {
        const sender = three.find(({ id }) => id === one.message.sender_id)!
        if (!one.deleted && !one.system) await edit(sender, one.message, 'edited')
      } else if (dice < 70) {
        const sender = three.find(({ id }) => id === one.message.sender_id)!
        if (!one.system) await remove(sender, one.message).then(() => (one.deleted = true))
      } else if (dice < 73) {
        await database.query("update messaging.messages set content_type = 'system' where id = $1", [one.message.id])
        one.system = true
      } else {
        const before = position.get(who.id)!
        const wish = dice < 78 ? messages.length + 5 : random(messages.length + 1)
        const after = Math.max(before, Math.min(wish, messages.length))
        const isNamed = dice % 2 === 0 && wish >= 1 && wish <= messages.length
        const target = isNamed ? { message_id: messages[wish - 1]!.message.id } : { seq: wish }
        const reply = await ask(MarkRead, who, { conversation_id: id, ...target })
        position.set(who.id, after)
        const expected = {
          marked_read: counted(who, before, after).length,
          unread_count: counted(who, after, messages.length).length,
          last_read_seq: after,
          success: true as const
        }
        t.same(reply, expected, `seed ${seed}: ${before} to ${wish} of ${messages.length}`)
      }
    }

    for (let n = 1; n <= 150; n++) {
      await step(three[random(3)]!)
      if (n % 5 > 0) continue
      for (const who of three) {
        const unread = counted(who, position.get(who.id)!, messages.length)
        const { unread_count, first_unread_seq, my } = await ask(GetConversation, who, { conversation_id: id })
        t.same(
          { unread_count, first_unread_seq, last_read_seq: my.last_read_seq },
          { unread_count: unread.length, first_unread_seq: unread[0]?.message.seq ?? null, last_read_seq: position.get(who.id) },
          `seed ${seed}, step ${n}, ${who.name}`
        )
        t.same(await ask(GetUnread, who, {}), {
          total: unread.length,
          mention_total: 0,
          conversations: unread.length > 0 ? [{ conversation_id: id, unread_count: unread.length, mention_count: 0 }] : []
        })
      }
    }
  }
})

t.test('a position never moves back nor past the end, and a marker stands for each advance alone', async t => {
  const [ada, bob] = await people('Ada', 'Bob')
  const { id } = await group(ada, bob)
  await sendAll(upTo(10).map(n => toSend(ada, id, `${n}`)))
  const read = (target: { seq?: number } = {}) => ask(MarkRead, bob, { conversation_id: id, ...target })

  t.match(await read({ seq: 4 }), { marked_read: 4, unread_count: 6, last_read_seq: 4 })
  t.match(await read({ seq: 2 }), { marked_read: 0, unread_count: 6, last_read_seq: 4 })
  t.match(await read({ seq: 4 }), { marked_read: 0, unread_count: 6, last_read_seq: 4 })
  t.match(await read({ seq: Number.MAX_SAFE_INTEGER }), { marked_read: 6, unread_count: 0, last_read_seq: 10 })
  t.match(await read(), { marked_read: 0, unread_count: 0, last_read_seq: 10 })
  const markers = await database.query('select seq::int from messaging.read_markers where conversation_id = $1 order by seq', [id])
  t.same(
    markers.map(({ seq }) => seq),
    [4, 10]
  )
})

t.test('two devices that read at once count each message once', async t => {
  const [ada, bob] = await people('Ada', 'Bob')
  const { id } = await group(ada, bob)
  await sendAll(upTo(20).map(n => toSend(ada, id, `${n}`)))
  const replies = await Promise.all([5, 20, 12, 20, 8, 20].map(seq => ask(MarkRead, bob, { conversation_id: id, seq })))
  t.equal(
    replies.reduce((sum, { marked_read }) => sum + marked_read, 0),
    20
  )
})

t.test('reading is told to the conversation, and the counts to the other devices of who read', async t => {
  const [ada, bob] = await people('Ada', 'Bob')
  const [one, two] = [await group(ada, bob), await group(ada, bob)]
  const messages = await sendAll(upTo(3).map(n => toSend(ada, one.id, `${n}`)))
  await say(ada, two.id, 'elsewhere')
  const heard: { subject: string; body: object; origin: string | undefined }[] = []
  for (const subject of [`eph.conversations.${one.id}`, `eph.users.${bob.org_id}.${bob.id}`]) {
    bus.subscribe(subject, ({ subject, data, headers }) =>
      heard.push({ subject, body: JSON.parse(Buffer.from(data).toString()), origin: headers?.get('Parley-Origin') })
    )
  }
  await bus.flush()

  await ask(MarkRead, bob, { conversation_id: one.id, seq: 2, connection_id: 'socket-1' })
  await ask(MarkRead, bob, { conversation_id: one.id, seq: 1 })

  await until(() => heard.length === 2)
  t.match(heard, [
    {
      body: { type: 'message_read', conversation_id: one.id, user_id: bob.id, message_id: messages[1]!.message!.id, seq: 2 },
      origin: undefined
    },
    { body: { type: 'unread', conversation_id: one.id, unread_count: 1, unread_total: 2 }, origin: 'socket-1' }
  ])
  await remove(ada, messages[2]!.message!)
  await until(() => heard.length === 3, { what: 'a deleted message is one less to read' })
  t.match(heard[2]!.body, { type: 'unread', conversation_id: one.id, unread_count: 0, unread_total: 1 })
})

t.test('every place that counts counts the same', async t => {
  const [ada, bob] = await people('Ada', 'Bob')
  const [one, two] = [await group(ada, bob), await group(ada, bob)]
  await sendAll([...upTo(3).map(n => toSend(ada, one.id, `${n}`)), ...upTo(2).map(n => toSend(ada, two.id, `${n}`))])
  t.equal((await ask(GetUnread, bob, {})).total, 5)
  t.equal((await ask(GetMe, bob, {})).unread_count, 5)
  const { states } = await bus.request(OpenUsers, { users: [bob, ada].map(({ id, org_id }) => ({ user_id: id, org_id })) })
  t.same(
    states.map(({ unread_total }) => unread_total),
    [5, 0]
  )
  t.same(
    new Map(states[0]!.conversations.map(c => [c.id, [c.version, c.unread_count]])),
    new Map([
      [one.id, [4, 3]],
      [two.id, [3, 2]]
    ])
  )
  const unread = await ask(ListConversations, bob, { query: { unread: 'true' } })
  t.same(unread.conversations.map(({ unread_count }) => unread_count).sort(), [2, 3])
  t.equal((await ask(ListConversations, ada, { query: { unread: 'true' } })).pagination.total_items, 0)
})

t.test('a position is moved by participants alone, to messages of that conversation', async t => {
  const [ada, bob, eve] = await people('Ada', 'Bob', 'Eve')
  const [mallory] = await people('Mallory')
  const [one, two] = [await group(ada, bob), await group(ada, bob)]
  const elsewhere = await say(ada, two.id, 'x')
  await t.rejects(ask(MarkRead, eve, { conversation_id: one.id }), { code: 'not_a_participant' })
  await t.rejects(ask(MarkRead, mallory, { conversation_id: one.id }), { code: 'conversation_not_found' })
  await t.rejects(ask(MarkRead, bob, { conversation_id: one.id, message_id: elsewhere.id }), { code: 'message_not_found' })
})
