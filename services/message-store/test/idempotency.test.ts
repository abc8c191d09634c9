import { randomUUID } from 'node:crypto'
import { AddParticipant, ListMessages, MarkRead } from '@parley/contracts'
import { failOnLeftovers, until } from '@parley/test-kit'
import t from 'tap'
import { setup, toSend, upTo } from './setup.ts'

failOnLeftovers(t)

const world = await setup(t, { stores: 2 })
const { people, group, ask, sendAll, say, edit, remove, listen, database } = world

const rowsOf = (conversation_id: string) =>
  database.query<{ n: number }>('select count(*)::int as n from messaging.messages where conversation_id = $1', [conversation_id])

t.test('a retry is answered with the message that stands, and takes no seq', async t => {
  const [ada, bob] = await people('Ada', 'Bob')
  const { id } = await group(ada, bob)
  const send = toSend(ada, id, 'hello', { metadata: { a: 1 } })

  const [first] = await sendAll([send])
  const [again] = await sendAll([send])
  const next = await say(ada, id, 'next')

  t.notOk(first!.duplicate)
  t.same(again, { message: first!.message, duplicate: true })
  t.equal(next.seq, 2)
})

t.test('a retry says who has read the message meanwhile, as a page of history does', async t => {
  const [ada, bob, cleo, dan] = await people('Ada', 'Bob', 'Cleo', 'Dan')
  const [{ id }, other] = [await group(ada, bob, cleo), await group(ada, bob)]
  const sends = [toSend(ada, id, 'first'), toSend(ada, id, 'second'), toSend(ada, other.id, 'elsewhere'), toSend(bob, id, 'third')]
  const before = (await sendAll(sends)).map(({ message }) => message!)
  await ask(MarkRead, cleo, { conversation_id: id, message_id: before[0]!.id })
  await ask(AddParticipant, ada, { conversation_id: id, user_id: dan.id })
  await ask(MarkRead, dan, { conversation_id: id })

  const again = await sendAll([...sends, toSend(ada, id, 'new')])

  t.same(
    again.map(({ message, duplicate }) => [message!.content, duplicate === true, (message as { read_by?: string[] }).read_by?.sort()]),
    [
      ['first', true, [bob.id, cleo.id].sort()],
      ['second', true, [bob.id]],
      ['elsewhere', true, undefined],
      ['third', true, undefined],
      ['new', false, undefined]
    ],
    'who wrote after it has read it, who was let in later has not'
  )
  const { messages } = await ask(ListMessages, ada, { conversation_id: id, query: {} })
  for (const message of messages.filter(({ content }) => content === 'first' || content === 'second')) {
    const { read_by = [] } = again.map(line => line.message as { id: string; read_by?: string[] }).find(({ id }) => id === message.id)!
    t.same([...message.read_by].sort(), read_by, `of ${message.content} both say the same`)
  }
})

t.test('a hundred sends of one client_message_id at once make one message and one event, through two stores', async t => {
  const [ada, bob] = await people('Ada', 'Bob')
  const { id } = await group(ada, bob)
  const heard = await listen(id)
  const send = toSend(ada, id, 'only once')

  const requests = await Promise.all(upTo(20).map(() => sendAll(upTo(5).map(() => send))))

  const lines = requests.flat()
  t.equal(lines.length, 100)
  t.equal(new Set(lines.map(({ message }) => message?.id)).size, 1)
  t.equal(lines.filter(({ duplicate }) => !duplicate).length, 1, 'one of them is the first')
  t.same(await rowsOf(id), [{ n: 1 }])
  await say(ada, id, 'the end')
  await until(() => heard.some(({ message }) => message.content === 'the end'))
  t.equal(heard.filter(({ message }) => message.content === 'only once').length, 1)
})

t.test('duplicates among new messages leave each its own answer and no hole', async t => {
  const [ada, bob] = await people('Ada', 'Bob')
  const { id } = await group(ada, bob)
  const old = upTo(5).map(n => toSend(ada, id, `old ${n}`))
  const before = await sendAll(old)
  const fresh = upTo(5).map(n => toSend(bob, id, `fresh ${n}`))

  const lines = await sendAll([old[0]!, fresh[0]!, old[1]!, fresh[1]!, fresh[1]!, old[4]!, fresh[2]!, fresh[3]!, fresh[4]!, old[0]!])

  t.same(
    lines.map(({ duplicate }) => duplicate === true),
    [true, false, true, false, true, true, false, false, false, true]
  )
  t.same(lines[0]!.message, before[0]!.message)
  t.same(lines[4]!.message, lines[3]!.message)
  t.same(
    lines.filter(({ duplicate }) => !duplicate).map(({ message }) => message!.seq),
    [6, 7, 8, 9, 10]
  )
})

t.test('the same id with other content is a mismatch, at once or later', async t => {
  const [ada, bob] = await people('Ada', 'Bob')
  const { id } = await group(ada, bob)
  const first = await say(ada, id, 'first')
  const send = toSend(ada, id, 'hello', { reply_to_id: first.id })

  const [one, two] = await sendAll([send, { ...send, content: 'hullo' }])
  t.ok(one!.message)
  t.match(two!.error, { code: 'idempotency_mismatch' })
  for (const other of [{ content: 'hullo' }, { content_type: 'file' as const }, { reply_to_id: one!.message!.id }]) {
    t.match((await sendAll([{ ...send, ...other }]))[0]!.error, { code: 'idempotency_mismatch' }, JSON.stringify(other))
  }
  t.equal((await sendAll([{ ...send, content: '  hello\r\n' }]))[0]!.duplicate, true, 'what is stored alike is alike')
  t.same(await rowsOf(id), [{ n: 2 }])
})

t.test('after an edit the original content is what a retry is held against, and it gets what stands now', async t => {
  const [ada, bob] = await people('Ada', 'Bob')
  const { id } = await group(ada, bob)
  const send = toSend(ada, id, 'original')
  const message = (await sendAll([send]))[0]!.message!
  await edit(ada, message, 'edited once')
  await edit(ada, message, 'edited twice')

  t.match((await sendAll([send]))[0], { duplicate: true, message: { id: message.id, content: 'edited twice', is_edited: true } })
  t.match((await sendAll([{ ...send, content: 'edited twice' }]))[0]!.error, { code: 'idempotency_mismatch' })
})

t.test('a retry of a message that was deleted meanwhile is answered with it, as deleted', async t => {
  const [ada, bob] = await people('Ada', 'Bob')
  const { id } = await group(ada, bob)
  const send = toSend(ada, id, 'soon gone')
  const message = (await sendAll([send]))[0]!.message!
  await remove(ada, message)

  t.match((await sendAll([send]))[0], { duplicate: true, message: { id: message.id, content: '', is_deleted: true, metadata: {} } })
  t.match((await sendAll([{ ...send, content: 'other' }]))[0]!.error, { code: 'idempotency_mismatch' })
  t.equal((await say(ada, id, 'next')).seq, 2)
})

t.test("an id belongs to its sender in its conversation: others' are other messages", async t => {
  const [ada, bob] = await people('Ada', 'Bob')
  const [one, two] = [await group(ada, bob), await group(ada, bob)]
  const client_message_id = randomUUID()
  const lines = await sendAll([
    toSend(ada, one.id, 'a', { client_message_id }),
    toSend(bob, one.id, 'b', { client_message_id }),
    toSend(ada, two.id, 'c', { client_message_id })
  ])
  t.same(
    lines.map(({ duplicate, message }) => [duplicate, message?.content]),
    [
      [undefined, 'a'],
      [undefined, 'b'],
      [undefined, 'c']
    ]
  )
})

t.test('without an id each send is a message', async t => {
  const [ada, bob] = await people('Ada', 'Bob')
  const { id } = await group(ada, bob)
  const { client_message_id: _, ...send } = toSend(ada, id, 'again')
  const lines = await sendAll([send, send])
  t.same(
    lines.map(({ message }) => message?.seq),
    [1, 2]
  )
  t.equal(lines[0]!.message!.client_message_id, null)
})

t.test('a retry by whoever has no part in the conversation is told nothing of the message', async t => {
  const [ada, bob] = await people('Ada', 'Bob')
  const { id } = await group(ada, bob)
  const send = toSend(ada, id, 'hello')
  await sendAll([send])
  await database.query('update messaging.participants set is_active = false where conversation_id = $1 and user_id = $2', [id, ada.id])
  t.match(await sendAll([send]), [{ error: { code: 'not_a_participant' } }])
  // With another one's retry in the batch the standing messages are looked for.
  const known = toSend(bob, id, 'known')
  await sendAll([known])
  t.match(await sendAll([send, known]), [{ error: { code: 'not_a_participant' } }, { duplicate: true }])
})
