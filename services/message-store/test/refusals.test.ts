import { randomUUID } from 'node:crypto'
import { GetDirectConversation, type Send, SendMessages } from '@parley/contracts'
import { failOnLeftovers, person } from '@parley/test-kit'
import t from 'tap'
import { setup, toSend, upTo } from './setup.ts'

failOnLeftovers(t)

const { people, group, sendAll, say, remove, ask, bus, database } = await setup(t)

t.test('what may not be sent fails alone: all else of its batch is stored, without a hole', async t => {
  const [ada, bob, eve] = await people('Ada', 'Bob', 'Eve')
  const [mallory, mate] = await people('Mallory', 'Mate')
  const { id } = await group(ada, bob)
  const setStatus = async (status: string) => {
    const { id } = await group(ada, bob)
    await database.query('update messaging.conversations set status = $2 where id = $1', [id, status])
    return id
  }
  const [locked, archived] = [await setStatus('locked'), await setStatus('archived')]
  const other = await group(ada, bob)
  const elsewhere = await say(ada, other.id, 'elsewhere')
  const gone = await say(ada, id, 'gone')
  await remove(ada, gone)
  const theirs = await group(mallory, mate)
  const left = await group(ada, bob)
  await database.query('update messaging.participants set is_active = false where conversation_id = $1 and user_id = $2', [left.id, ada.id])

  const refused: [code: string, send: Send][] = [
    ['conversation_not_found', toSend(ada, randomUUID(), 'x')],
    ['conversation_not_found', toSend(mallory, id, 'of another organization')],
    ['conversation_not_found', toSend(ada, theirs.id, 'into another organization')],
    ['conversation_not_found', toSend({ ...ada, org_id: mallory.org_id }, id, 'in the name of another organization')],
    ['not_a_participant', toSend(eve, id, 'x')],
    ['not_a_participant', toSend(ada, left.id, 'who has left')],
    ['not_a_participant', toSend(person({ org_id: ada.org_id }), id, 'nobody knows them')],
    ['conversation_locked', toSend(ada, locked, 'x')],
    ['conversation_archived', toSend(ada, archived, 'x')],
    ['invalid_reply', toSend(ada, id, 'x', { reply_to_id: randomUUID() })],
    ['invalid_reply', toSend(ada, id, 'x', { reply_to_id: elsewhere.id })],
    ['invalid_reply', toSend(ada, id, 'x', { reply_to_id: gone.id })],
    ['content_empty', toSend(ada, id, ' \n\u200b ')],
    ['content_too_long', toSend(ada, id, '😀'.repeat(5_001))],
    ['invalid_text', toSend(ada, id, 'a\u0000b')],
    ['invalid_request', toSend(ada, id, 'x', { metadata: { a: 'x'.repeat(9_000) } })],
    ['invalid_request', toSend(ada, id, 'x', { client_message_id: ' a ' })],
    ['attachment_not_found', toSend(ada, id, 'x', { attachments: [randomUUID()] })]
  ]
  const good = (n: number) => toSend(n % 2 ? ada : bob, id, `good ${n}`)

  const lines = await sendAll(refused.flatMap(([, send], n) => [send, good(n)]))

  for (const [n, [code, send]] of refused.entries()) {
    t.match(lines[2 * n], { error: { code } }, `${code}: ${JSON.stringify(send.content.slice(0, 40))}`)
    t.equal(lines[2 * n]!.message, undefined)
  }
  const stored = lines.filter((_, index) => index % 2 === 1)
  t.same(
    stored.map(({ message }) => message?.seq),
    upTo(refused.length).map(n => n + 1)
  )
  t.same(
    stored.map(({ message }) => message?.content),
    refused.map((_, n) => `good ${n}`)
  )
  for (const conversation_id of [locked, archived, left.id, theirs.id]) {
    t.same(await database.query('select last_seq::int, version::int from messaging.conversations where id = $1', [conversation_id]), [
      { last_seq: 0, version: 1 }
    ])
  }

  // A message that is alone goes by a statement of its own, which has the same rules.
  const counters = () => database.query('select last_seq::int, version::int from messaging.conversations where id = $1', [id])
  const before = await counters()
  for (const [code, send] of refused) {
    const [line] = await sendAll([send])
    t.match(line, { error: { code } }, `alone, ${code}`)
  }
  t.same(await counters(), before)
  t.equal((await say(ada, id, 'good')).seq, refused.length + 2)
})

t.test('what only the database refuses fails alone too', async t => {
  const [ada, bob] = await people('Ada', 'Bob')
  const { id } = await group(ada, bob)
  const bad = toSend(ada, id, 'x', { metadata: { a: '\u0000' } })
  const known = toSend(bob, id, 'known')
  await sendAll([known])
  const lines = await sendAll([toSend(ada, id, 'good 1'), bad, known, toSend(bob, id, 'good 2')])
  t.match(lines, [
    { message: { seq: 2 } },
    { error: { code: 'invalid_text' } },
    { duplicate: true, message: { seq: 1 } },
    { message: { seq: 3 } }
  ])
})

t.test('a batch of nothing but refusals leaves nothing, not even in the outbox', async t => {
  const [ada, bob, eve] = await people('Ada', 'Bob', 'Eve')
  const { id } = await group(ada, bob)
  const lines = await sendAll(upTo(5).map(() => toSend(eve, id, 'x')))
  t.same(
    lines.map(({ error }) => error?.code),
    upTo(5).map(() => 'not_a_participant')
  )
  t.same(
    await database.query("select 1 from messaging.outbox_batches where kind = 'new_message' and conversation_ids && array[$1::uuid]", [id]),
    []
  )
})

t.test('what another organization has is told like what nobody has', async t => {
  const [ada] = await people('Ada')
  const [mallory, mate] = await people('Mallory', 'Mate')
  const theirs = await group(mallory, mate)
  const nowhere = randomUUID()
  const [foreign, missing] = await sendAll([toSend(ada, theirs.id, 'x'), toSend(ada, nowhere, 'x')])
  t.equal(JSON.stringify(foreign).replaceAll(theirs.id, '*'), JSON.stringify(missing).replaceAll(nowhere, '*'))
})

t.test('a request that breaks the contract is refused whole, before anything is stored', async t => {
  const [ada, bob] = await people('Ada', 'Bob')
  const { conversation } = await ask(GetDirectConversation, ada, { user_id: bob.id })
  const send = toSend(ada, conversation.id, 'x')
  for (const sends of [
    [],
    [{ ...send, extra: 1 }],
    [send, { ...send, conversation_id: '>' }],
    upTo(501).map(() => send),
    [{ ...send, content: 5 }]
  ]) {
    await t.rejects(bus.request(SendMessages, { sends: sends as Send[] }), { name: 'AppError', status: 400 })
  }
  t.equal((await say(ada, conversation.id, 'first')).seq, 1)
})

t.test('a content is stored trimmed, as NFC and whole', async t => {
  const [ada, bob] = await people('Ada', 'Bob')
  const { id } = await group(ada, bob)
  t.equal((await say(ada, id, '  e\u0301\r\n한\u0007 ')).content, 'é\n한')
  const long = '😀'.repeat(5_000)
  t.equal((await say(ada, id, long)).content, long)
  const metadata = { b: 1, a: { nested: [true, null, 'x', 1.5] } }
  const message = await say(ada, id, 'x', { metadata, content_type: 'image', reply_to_id: (await say(bob, id, 'y')).id })
  t.match(message, { metadata, content_type: 'image', sender: { id: ada.id, username: 'ada', display_name: 'Ada' } })
})
