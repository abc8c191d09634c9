import { randomUUID } from 'node:crypto'
import { ROUTES } from '@parley/contracts'
import { colleagues, failOnLeftovers, type Person, person, startPlatform } from '@parley/test-kit'
import t from 'tap'
import { fits, group, isProblem, known } from './expect.ts'

failOnLeftovers(t)
const platform = await startPlatform(t)
const [ada, ben, cleo] = colleagues('Ada', 'Ben', 'Cleo')
const moderator = person({ org_id: ada.org_id, name: 'Mo', role: 'moderator' })
const stranger = person({ name: 'Stranger' })
await known(platform, ada, ben, cleo, moderator, stranger)
const as = platform.client
const say = async (who: Person, id: string, content = 'hello', more = {}) =>
  (await as(who).post(`/conversations/${id}/messages`, { content, ...more })).body
const at = (message: { id: string }, emoji: string) => `/messages/${message.id}/reactions/${encodeURIComponent(emoji)}`

t.test('a reaction counts once a person and emoji, is told live as a change, and is taken back', async t => {
  const id = await group(platform, ada, ben)
  const message = await say(ada, id)
  const socket = await platform.connect(t, ada)
  const reacted = await as(ben).put(at(message, '👍'))
  fits(t, reacted, 200, ROUTES.addReaction.replies[200])
  t.match(reacted.body, { id: message.id, version: 3, is_mine: false, reactions: [{ emoji: '👍', count: 1, user_ids: [ben.id] }] })
  t.match(await socket.next('message_updated'), { version: 3, message: { reactions: [{ emoji: '👍', count: 1 }], is_edited: false } })
  t.match((await as(ben).put(at(message, '👍'))).body, { version: 3 }, 'a second time changes nothing')
  await as(ada).put(at(message, '👍'))
  await as(ada).put(at(message, '❤'))
  const { body } = await as(ada).get(`/messages/${message.id}`)
  t.same(body.reactions, [
    { emoji: '👍', count: 2, user_ids: [ben.id, ada.id] },
    { emoji: '❤️', count: 1, user_ids: [ada.id] }
  ])
  t.same((await as(ben).get(`/conversations/${id}/messages`)).body.messages[0].reactions, body.reactions)
  t.same((await as(ben).get(`/conversations/${id}/changes?since=2`)).body.messages[0].reactions, body.reactions)
  fits(t, await as(ben).delete(at(message, '👍')), 200, ROUTES.removeReaction.replies[200])
  const { version, reactions } = (await as(ben).delete(at(message, '👍'))).body
  t.match([version, reactions[0]], [6, { emoji: '👍', count: 1, user_ids: [ada.id] }], 'taking back what is not there changes nothing')
})

t.test('on the socket a reaction is acknowledged with the message, and refused as over HTTP', async t => {
  const id = await group(platform, ada, ben)
  const message = await say(ada, id)
  const socket = await platform.connect(t, ben)
  const added = await socket.ask({ type: 'add_reaction', message_id: message.id, emoji: '🎉' })
  t.match(added, { type: 'ack', message: { id: message.id, reactions: [{ emoji: '🎉', count: 1, user_ids: [ben.id] }] } })
  t.match(await socket.ask({ type: 'remove_reaction', message_id: message.id, emoji: '🎉' }), { type: 'ack', message: { reactions: [] } })
  t.match(await socket.ask({ type: 'add_reaction', message_id: randomUUID(), emoji: '🎉' }), { type: 'error', code: 'message_not_found' })
})

t.test('twenty who react at once are twenty, each at a version of its own', async t => {
  const people = colleagues(...Array.from({ length: 20 }, (_, n) => `Person ${n}`))
  const id = await group(platform, ...people)
  const message = await say(people[0]!, id)
  await Promise.all(people.map(who => as(who).put(at(message, '😀'))))
  const { body } = await as(people[0]!).get(`/messages/${message.id}`)
  t.match([body.version, body.reactions[0].count, body.reactions[0].user_ids.length], [22, 20, 20])
})

t.test('only one emoji is a reaction, by whoever may see the message, while it says something', async t => {
  const id = await group(platform, ada, ben)
  const message = await say(ada, id)
  for (const text of ['x', ':-)', '👍👍', '1', '👍 ', 'a'.repeat(64), '\u200d'])
    isProblem(t, await as(ben).put(at(message, text)), 400, 'invalid_emoji', JSON.stringify(text).slice(0, 20))
  for (const emoji of ['👩‍👩‍👧‍👦', '🇰🇷', '👍🏽', '1️⃣', '☺️', '🏴󠁧󠁢󠁳󠁣󠁴󠁿']) t.equal((await as(ben).put(at(message, emoji))).status, 200, emoji)
  isProblem(t, await as(cleo).put(at(message, '👍')), 403, 'not_a_participant')
  isProblem(t, await as(stranger).put(at(message, '👍')), 404, 'message_not_found')
  isProblem(t, await as(ada).put(at({ id: randomUUID() }, '👍')), 404, 'message_not_found')
  isProblem(t, await as(ada).put('/messages/x/reactions/%F0%9F%91%8D'), 400, 'invalid_id')
  await as(ada).patch(`/conversations/${id}`, { status: 'locked' })
  isProblem(t, await as(ben).put(at(message, '👍')), 403, 'conversation_locked')
  await as(ada).patch(`/conversations/${id}`, { status: 'active' })
  await as(ada).delete(`/messages/${message.id}`)
  isProblem(t, await as(ben).put(at(message, '👍')), 409, 'message_deleted')
  isProblem(t, await as(ben).delete(at(message, '🇰🇷')), 409, 'message_deleted')
  t.same((await as(ben).get(`/messages/${message.id}`)).body.reactions, [], 'a deleted message shows none')
})

t.test('a message has fifty kinds of reactions at most, and more people of each', async t => {
  const id = await group(platform, ada, ben)
  const message = await say(ada, id)
  for (let n = 0; n < 50; n++) await as(ben).put(at(message, String.fromCodePoint(0x1f600 + n)))
  isProblem(t, await as(ben).put(at(message, '👍')), 409, 'too_many_reactions')
  t.equal((await as(ada).put(at(message, '😀'))).status, 200)
})

t.test('a pinned message is listed with the newest pin first, told live, and unpinned', async t => {
  const id = await group(platform, ada, ben)
  const [first, second] = [await say(ada, id, 'first'), await say(ada, id, 'second')]
  const socket = await platform.connect(t, ada)
  const pinned = await as(ben).put(`/messages/${second.id}/pin`)
  fits(t, pinned, 200, ROUTES.pin.replies[200])
  t.match(pinned.body, { is_pinned: true, version: 4 })
  t.match(await socket.next('message_updated'), { message: { id: second.id, is_pinned: true } })
  await as(ada).put(`/messages/${first.id}/pin`)
  t.match((await as(ada).put(`/messages/${first.id}/pin`)).body, { version: 5 }, 'a second time changes nothing')
  const list = async () => (await as(ben).get(`/conversations/${id}/pins`)).body.messages.map(({ content }: { content: string }) => content)
  fits(t, await as(ben).get(`/conversations/${id}/pins`), 200, ROUTES.pins.replies[200])
  t.same(await list(), ['first', 'second'])
  t.match((await as(ben).delete(`/messages/${first.id}/pin`)).body, { is_pinned: false, version: 6 })
  t.match((await as(ben).delete(`/messages/${first.id}/pin`)).body, { is_pinned: false, version: 6 })
  await as(ada).delete(`/messages/${second.id}`)
  t.same(await list(), [], 'what is deleted is no longer pinned')
})

t.test('who may not pin is refused, and a conversation has fifty pins at most', async t => {
  const { body } = await as(ada).post('/conversations', { type: 'support', participant_ids: [ben.id] })
  const message = await say(ben, body.id)
  isProblem(t, await as(ben).put(`/messages/${message.id}/pin`), 403, 'forbidden', 'a member where owners and admins pin')
  t.equal((await as(ada).put(`/messages/${message.id}/pin`)).status, 200)
  isProblem(t, await as(cleo).put(`/messages/${message.id}/pin`), 403, 'not_a_participant')
  isProblem(t, await as(stranger).put(`/messages/${message.id}/pin`), 404, 'message_not_found')
  isProblem(t, await as(cleo).get(`/conversations/${body.id}/pins`), 403, 'not_a_participant')
  isProblem(t, await as(stranger).get(`/conversations/${body.id}/pins`), 404, 'conversation_not_found')
  const messages = await Promise.all(Array.from({ length: 50 }, (_, n) => say(ada, body.id, `pin ${n}`)))
  for (const one of messages.slice(1)) await as(ada).put(`/messages/${one.id}/pin`)
  isProblem(t, await as(ada).put(`/messages/${messages[0].id}/pin`), 409, 'too_many_pins')
})

t.test('replies are counted and read by pages, without those that were deleted', async t => {
  const id = await group(platform, ada, ben)
  const question = await say(ada, id, 'who sails?')
  const answers = []
  for (const n of [1, 2, 3, 4]) answers.push(await say(ben, id, `answer ${n}`, { reply_to_id: question.id }))
  await say(ben, id, 'beside it')
  await as(ben).delete(`/messages/${answers[1].id}`)
  t.equal((await as(ada).get(`/messages/${question.id}`)).body.reply_count, 3)
  const first = await as(ada).get(`/messages/${question.id}/replies?limit=2`)
  fits(t, first, 200, ROUTES.replies.replies[200])
  t.match(first.body, { has_more: true, total: 3, messages: [{ content: 'answer 1', reply_to_id: question.id }, { content: 'answer 3' }] })
  const rest = await as(ada).get(`/messages/${question.id}/replies?limit=2&after=${first.body.messages[1].seq}`)
  t.match(rest.body, { has_more: false, messages: [{ content: 'answer 4' }] })
  isProblem(t, await as(cleo).get(`/messages/${question.id}/replies`), 403, 'not_a_participant')
  isProblem(t, await as(stranger).get(`/messages/${question.id}/replies`), 404, 'message_not_found')
  isProblem(t, await as(ada).get(`/messages/${question.id}/replies?limit=0`), 400, 'invalid_request')
})

t.test('a moderator restores a deleted message with what it said, and nobody else does', async t => {
  const id = await group(platform, ada, ben)
  const message = await say(ada, id, 'taken back')
  await as(ada).delete(`/messages/${message.id}`)
  const path = `/admin/messages/${message.id}/restore`
  for (const who of [ada, ben, cleo]) isProblem(t, await as(who).post(path), 403, 'forbidden')
  isProblem(t, await as(person({ name: 'Elsewhere', role: 'moderator' })).post(path), 404, 'message_not_found')
  const socket = await platform.connect(t, ben)
  const restored = await as(moderator).post(path)
  fits(t, restored, 200, ROUTES.restoreMessage.replies[200])
  t.match(restored.body, { content: 'taken back', is_deleted: false, deleted_at: null, version: 4 })
  t.match(await socket.next('message_updated'), { message: { content: 'taken back' } })
  t.match((await as(moderator).post(path)).body, { version: 4 }, 'a second time changes nothing')
  t.match((await as(ben).get(`/conversations/${id}`)).body, { unread_count: 1 }, 'it counts as unread again')
})
