import { DeleteMessage, GetMessage, ListReceipts, ListRevisions, MarkRead } from '@parley/contracts'
import { failOnLeftovers, type Person, until } from '@parley/test-kit'
import t from 'tap'
import { setup, toSend, upTo } from './setup.ts'

failOnLeftovers(t)

const { people, group, sendAll, say, edit, remove, ask, listen, database } = await setup(t)

t.test('an edit changes the content, keeps the earlier ones as revisions and is told', async t => {
  const [ada, bob] = await people('Ada', 'Bob')
  const { id } = await group(ada, bob)
  const heard = await listen(id)
  const message = await say(ada, id, 'one', { metadata: { a: 1 } })

  const second = await edit(ada, message, '  two ')
  const third = await edit(ada, message, 'three')

  t.match(second, {
    id: message.id,
    seq: 1,
    version: 3,
    content: 'two',
    is_edited: true,
    metadata: { a: 1 },
    created_at: message.created_at
  })
  t.equal(second.edited_at, second.updated_at)
  t.equal(third.version, 4)
  const { revisions } = await ask(ListRevisions, bob, { message_id: message.id })
  t.match(revisions, [
    { content: 'one', edited_by: ada.id, edited_at: second.edited_at },
    { content: 'two', edited_at: third.edited_at }
  ])
  await until(() => heard.length === 3)
  t.same(heard[2], { type: 'message_updated', conversation_id: id, version: 4, message: third })
  const { is_mine, is_read, read_by, ...read } = await ask(GetMessage, bob, { message_id: message.id })
  t.same(read, third)
  t.same([is_mine, is_read, read_by], [false, false, []])
})

t.test('ten edits at once are ten versions and ten revisions, the last one standing', async t => {
  const [ada, bob] = await people('Ada', 'Bob')
  const { id } = await group(ada, bob)
  const message = await say(ada, id, 'edit 0')
  const edited = await Promise.all(upTo(10).map(n => edit(ada, message, `edit ${n}`)))
  t.same(
    edited.map(({ version }) => version).sort((a, b) => a - b),
    upTo(10).map(n => n + 2)
  )
  const last = edited.find(({ version }) => version === 12)!
  t.equal((await ask(GetMessage, ada, { message_id: message.id })).content, last.content)
  const { revisions } = await ask(ListRevisions, ada, { message_id: message.id })
  t.equal(new Set([...revisions.map(({ content }) => content), last.content]).size, 11)
})

t.test('a deleted message keeps its place, and a second delete answers like the first and is not told', async t => {
  const [ada, bob] = await people('Ada', 'Bob')
  const { id } = await group(ada, bob)
  const heard = await listen(id)
  const message = await say(ada, id, 'secret')
  await edit(ada, message, 'secret still')

  const first = await ask(DeleteMessage, ada, { message_id: message.id })
  const second = await ask(DeleteMessage, ada, { message_id: message.id, conversation_id: id })

  t.match(first.deleted, { success: true, message: 'Message deleted successfully', id: message.id, conversation_id: id, version: 4 })
  t.same(second, first)
  t.match(first.message, { content: '', is_deleted: true, deleted_at: first.deleted.deleted_at, seq: 1 })
  t.same((await ask(ListRevisions, ada, { message_id: message.id })).revisions, [], 'what it said is gone with it')
  await say(ada, id, 'next')
  await until(() => heard.some(({ message }) => message.content === 'next'))
  t.same(
    heard.map(({ type }) => type),
    ['new_message', 'message_updated', 'message_deleted', 'new_message']
  )
  t.match(
    await database.query('select content from messaging.messages where id = $1', [message.id]),
    [{ content: 'secret still' }],
    'moderators can restore it'
  )
})

t.test('an edit of a deleted message, or a delete that meets an edit, has one order', async t => {
  const [ada, bob] = await people('Ada', 'Bob')
  const { id } = await group(ada, bob)
  const message = await say(ada, id, 'x')
  const [edited, deleted] = await Promise.allSettled([edit(ada, message, 'y'), remove(ada, message)])
  t.equal(deleted.status, 'fulfilled')
  if (edited.status === 'rejected') t.match(edited.reason, { code: 'message_deleted' })
  t.match(await ask(GetMessage, bob, { message_id: message.id }), { content: '', is_deleted: true })
  await t.rejects(edit(ada, message, 'z'), { code: 'message_deleted', status: 409 })
})

t.test('only the sender changes a message, only while the conversation takes writing, and only with a content', async t => {
  const [ada, bob, eve] = await people('Ada', 'Bob', 'Eve')
  const [mallory] = await people('Mallory')
  const { id } = await group(ada, bob)
  const other = await group(ada, bob)
  const message = await say(ada, id, 'x')
  const both = async (who: Person, code: string) => {
    await t.rejects(edit(who, message, 'y'), { code }, `edit: ${code}`)
    await t.rejects(remove(who, message), { code }, `delete: ${code}`)
  }
  await both(bob, 'not_the_sender')
  await both(eve, 'not_a_participant')
  await both(mallory, 'message_not_found')
  await t.rejects(ask(DeleteMessage, ada, { message_id: message.id, conversation_id: other.id }), { code: 'message_not_found' })
  for (const [content, code] of [
    ['  ', 'content_empty'],
    ['x'.repeat(5_001), 'content_too_long'],
    ['\u0000', 'invalid_text']
  ] as const) {
    await t.rejects(edit(ada, message, content), { code })
  }
  for (const status of ['locked', 'archived']) {
    await database.query('update messaging.conversations set status = $2 where id = $1', [id, status])
    await both(ada, `conversation_${status}`)
  }
  t.match(await ask(GetMessage, bob, { message_id: message.id }), { content: 'x', version: 2, is_edited: false })
  for (const contract of [GetMessage, ListRevisions, ListReceipts]) {
    await t.rejects(ask(contract, eve, { message_id: message.id }), { code: 'not_a_participant' })
    await t.rejects(ask(contract, mallory, { message_id: message.id }), { code: 'message_not_found' })
  }
})

t.test('replies are counted on what they reply to, deleted ones not', async t => {
  const [ada, bob] = await people('Ada', 'Bob')
  const { id } = await group(ada, bob)
  const question = await say(ada, id, '?')
  const [one] = await sendAll([1, 2].map(n => toSend(bob, id, `${n}`, { reply_to_id: question.id })))
  t.equal((await ask(GetMessage, ada, { message_id: question.id })).reply_count, 2)
  await remove(bob, one!.message!)
  t.equal((await ask(GetMessage, ada, { message_id: question.id })).reply_count, 1)
})

t.test('a receipt says who read a message and when they first did, also of those who only wrote', async t => {
  const [ada, bob, cem, dee] = await people('Ada', 'Bob', 'Cem', 'Dee')
  const { id } = await group(ada, bob, cem, dee)
  const messages = (await sendAll(upTo(4).map(n => toSend(ada, id, `${n}`)))).map(({ message }) => message!)
  const readBy = async (n: number) => (await ask(ListReceipts, ada, { message_id: messages[n - 1]!.id })).read_by

  await ask(MarkRead, bob, { conversation_id: id, seq: 2 })
  const early = await readBy(1)
  await ask(MarkRead, bob, { conversation_id: id })
  const reply = await say(cem, id, 'I have seen them')

  t.same(
    early.map(({ user_id }) => user_id),
    [bob.id]
  )
  t.same(
    (await readBy(1)).find(({ user_id }) => user_id === bob.id),
    early[0],
    'the first time counts'
  )
  t.same(await readBy(2), await readBy(1))
  const last = await readBy(4)
  t.same(
    last.map(({ user_id }) => user_id),
    [bob.id, cem.id]
  )
  t.ok(last[0]!.read_at >= early[0]!.read_at)
  t.equal(last[1]!.read_at, reply.created_at)
  t.match(await ask(GetMessage, ada, { message_id: messages[3]!.id }), { is_mine: true, is_read: true })
  t.same((await ask(GetMessage, ada, { message_id: messages[3]!.id })).read_by.sort(), [bob.id, cem.id].sort())
  t.match(await ask(GetMessage, dee, { message_id: messages[3]!.id }), { is_mine: false, is_read: false })
  t.match(await ask(GetMessage, bob, { message_id: messages[3]!.id }), { is_read: true })
})
