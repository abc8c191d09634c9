import { randomUUID } from 'node:crypto'
import { AckFrame, check, ErrorFrame, MyMessage, NewMessage } from '@parley/contracts'
import { colleagues, type Frame, failOnLeftovers, person, startPlatform, until } from '@parley/test-kit'
import t, { type Test } from 'tap'
import { group, known } from './expect.ts'

failOnLeftovers(t)
const platform = await startPlatform(t, { gateways: 2 })
const [ada, ben, otto] = colleagues('Ada', 'Ben', 'Otto')
const stranger = person({ name: 'Stranger' })
await known(platform, otto, stranger)
const conversation_id = await group(platform, ada, ben)
const foreign = await group(platform, stranger)
const others = await group(platform, otto)
const unread = (of: string) => ({ conversation_id: of, last_read_seq: Number, unread_count: Number })

function isError(t: Test, frame: Frame, code: string, status: number, ws_code?: number): void {
  t.doesNotThrow(() => check(ErrorFrame.schema, frame), JSON.stringify(frame))
  t.equal(Object.keys(frame)[0], 'type')
  t.match(frame, { type: 'error', code, detail: /\S/, status, retryable: Boolean }, `${frame.code}: ${frame.detail}`)
  t.equal(frame.ws_code, ws_code, `${code}: ws_code`)
}

t.test('a message is acknowledged with the same message that everyone gets, its sender’s own socket too', async t => {
  const [mine, other, theirs] = await Promise.all([
    platform.connect(t, ada),
    platform.connect(t, ada, { gateway: 1 }),
    platform.connect(t, ben, { gateway: 1 })
  ])
  const ack = await mine.ask({
    type: 'send_message',
    id: 'my id',
    conversation_id: conversation_id.toUpperCase(),
    content: ' h\u00e9 \u{1f600} " \\ \n x ',
    client_message_id: randomUUID(),
    metadata: { a: { b: ['"', '\\', '\u2028'] } }
  })

  t.doesNotThrow(() => check(AckFrame.schema, ack))
  t.same(Object.keys(ack), ['type', 'id', 'message'])
  for (const socket of [mine, other, theirs]) {
    const event = await socket.next('new_message')
    t.doesNotThrow(() => check(NewMessage, event))
    t.same(Object.keys(event), ['type', 'conversation_id', 'version', 'message'])
    t.same(event.message, ack.message, 'the very same')
    t.same([event.conversation_id, event.version], [conversation_id, ack.message.version])
  }
  const { is_mine, is_read, read_by, ...stored } = (await platform.client(ben).get(`/messages/${ack.message.id}`)).body
  t.same(ack.message, stored, 'and the one that stands in the database')
  t.same([is_mine, is_read, read_by], [false, false, []])
  t.notOk('is_mine' in ack.message, 'what depends on who asks is in REST answers alone')
  check(MyMessage, { ...stored, is_mine, is_read, read_by })
})

t.test('a message that is sent again by frame is acknowledged as a duplicate and told to nobody', async t => {
  const [mine, theirs] = await Promise.all([platform.connect(t, ada), platform.connect(t, ben)])
  const send = { type: 'send_message', conversation_id, content: 'once', client_message_id: randomUUID() }
  const first = await mine.ask(send)
  const again = await mine.ask(send)

  t.same(again, { type: 'ack', id: again.id, message: first.message, duplicate: true })
  await theirs.ask({ type: 'mark_read', conversation_id })
  const read = await mine.ask(send)
  t.same(read, { type: 'ack', id: read.id, message: first.message, duplicate: true }, 'who has read it is told over HTTP alone')
  isError(t, await mine.ask({ ...send, content: 'other' }), 'idempotency_mismatch', 409)
  await mine.ask({ type: 'send_message', conversation_id, content: 'after' })
  await until(() => theirs.frames.some(frame => frame.message?.content === 'after'))
  t.equal(theirs.frames.filter(frame => frame.message?.content === 'once').length, 1)
})

t.test('an edit and a delete are acknowledged with the message, which everyone gets as an event', async t => {
  const [mine, theirs] = await Promise.all([platform.connect(t, ada), platform.connect(t, ben, { gateway: 1 })])
  const { message } = await mine.ask({ type: 'send_message', conversation_id, content: 'frist' })
  const edited = await mine.ask({ type: 'edit_message', message_id: message.id, content: 'first' })
  t.match(edited, { type: 'ack', message: { id: message.id, content: 'first', is_edited: true, version: message.version + 1 } })
  const updated = await theirs.next('message_updated')
  t.same([updated.message, updated.version], [edited.message, edited.message.version])

  const deleted = await mine.ask({ type: 'delete_message', message_id: message.id })
  t.match(deleted, { type: 'ack', message: { id: message.id, content: '', is_deleted: true, version: message.version + 2 } })
  const gone = await theirs.next('message_deleted')
  t.same([gone.message, gone.version], [deleted.message, deleted.message.version])
  t.same((await mine.ask({ type: 'delete_message', message_id: message.id })).message, deleted.message, 'a second time answers the same')

  isError(t, await mine.ask({ type: 'edit_message', message_id: message.id, content: 'x' }), 'message_deleted', 409)
  const theirsAck = await theirs.ask({ type: 'send_message', conversation_id, content: 'mine' })
  isError(t, await mine.ask({ type: 'edit_message', message_id: theirsAck.message.id, content: 'x' }), 'not_the_sender', 403)
  isError(t, await mine.ask({ type: 'delete_message', message_id: theirsAck.message.id }), 'not_the_sender', 403)
  isError(t, await mine.ask({ type: 'delete_message', message_id: randomUUID() }), 'message_not_found', 404)
})

t.test('reading, joining, leaving and a ping have the answers that the interface names', async t => {
  const socket = await platform.connect(t, ada)
  const { message } = await (await platform.connect(t, ben)).ask({ type: 'send_message', conversation_id, content: 'read me' })

  const read = await socket.ask({ type: 'mark_read', conversation_id, message_id: message.id })
  t.same(read, { type: 'ack', id: read.id, ...unread(conversation_id), last_read_seq: message.seq, unread_count: 0 })
  t.match(await socket.ask({ type: 'mark_read', conversation_id, seq: 1 }), { last_read_seq: message.seq }, 'never back')
  t.match(await socket.ask({ type: 'mark_read', conversation_id, seq: 1e9 }), { last_read_seq: message.seq }, 'past the end is the end')
  isError(t, await socket.ask({ type: 'mark_read', conversation_id, message_id: randomUUID() }), 'message_not_found', 404)

  const joined = await socket.ask({ type: 'join', conversation_id: conversation_id.toUpperCase() })
  t.match(joined, { type: 'ack', version: message.version, presence: [] })
  t.equal(joined.conversation_id.toLowerCase(), conversation_id)
  t.match(await socket.ask({ type: 'leave', conversation_id }), { type: 'ack', conversation_id })
  t.match(await socket.ask({ type: 'leave', conversation_id: randomUUID() }), { type: 'ack' }, 'leaving what one never joined is no harm')
  t.match(await socket.ask({ type: 'resume', cursors: {} }), { type: 'resumed', complete: true })
  socket.send({ type: 'ping' })
  t.same(await socket.next('pong'), { type: 'pong' })
})

t.test('a conversation that was made a moment ago is joined at its version', async t => {
  const socket = await platform.connect(t, ada, { gateway: 1 })
  for (let n = 0; n < 10; n++) {
    const made = await group(platform, ada, ben)
    t.match(await socket.ask({ type: 'join', conversation_id: made }), { type: 'ack', conversation_id: made, version: 1 })
    const { body } = await platform.client(ben).post(`/conversations/${made}/messages`, { content: 'live' })
    t.match(await socket.next(({ type, conversation_id: id }) => type === 'new_message' && id === made), { message: { id: body.id } })
  }
})

t.test('an answer carries an id only where the frame had one, and two frames with one id get one answer each', async t => {
  const socket = await platform.connect(t, ada)
  socket.send({ type: 'send_message', conversation_id, content: 'no id' })
  const ack = await socket.next('ack')
  t.notOk('id' in ack)
  socket.send({ type: 'send_message', conversation_id, content: '' })
  t.notOk('id' in (await socket.next('error')))

  for (let n = 0; n < 3; n++) socket.send({ type: 'send_message', conversation_id, content: `${n}`, id: 'same' })
  await until(() => socket.frames.filter(({ id }) => id === 'same').length === 3)
  for (const id of ['"', '\\', '\u2028', '<>', 'é', 'x'.repeat(128)]) {
    t.equal((await socket.ask({ type: 'join', id, conversation_id })).id, id, encodeURIComponent(id).slice(0, 10))
  }
})

t.test('what may not be seen is refused by frame as it is over REST', async t => {
  const socket = await platform.connect(t, ada)
  const refusals: [Frame, string, number, number?][] = [
    [{ type: 'send_message', conversation_id: foreign, content: 'x' }, 'conversation_not_found', 404, 4004],
    [{ type: 'send_message', conversation_id: randomUUID(), content: 'x' }, 'conversation_not_found', 404, 4004],
    [{ type: 'send_message', conversation_id: others, content: 'x' }, 'not_a_participant', 403],
    [{ type: 'mark_read', conversation_id: foreign }, 'conversation_not_found', 404, 4004],
    [{ type: 'mark_read', conversation_id: others }, 'not_a_participant', 403],
    [{ type: 'join', conversation_id: foreign }, 'conversation_not_found', 404, 4004],
    [{ type: 'join', conversation_id: others }, 'not_a_participant', 403],
    [{ type: 'join', conversation_id: randomUUID() }, 'conversation_not_found', 404, 4004]
  ]
  for (const [frame, code, status, ws_code] of refusals) isError(t, await socket.ask(frame), code, status, ws_code)
  await platform.client(stranger).post(`/conversations/${foreign}/messages`, { content: 'not for Ada' })
  await socket.ask({ type: 'send_message', conversation_id, content: 'later' })
  t.notMatch(JSON.stringify(socket.frames), /not for Ada/)
})

t.test('content that is refused is an error like any other and never ends the socket', async t => {
  const socket = await platform.connect(t, ada)
  for (let n = 0; n < 10; n++) {
    isError(t, await socket.ask({ type: 'send_message', conversation_id, content: ' \u200b ' }), 'content_empty', 400)
    isError(t, await socket.ask({ type: 'send_message', conversation_id, content: 'x'.repeat(5_001 + n * 2_000) }), 'content_too_long', 400)
  }
  isError(t, await socket.ask({ type: 'edit_message', message_id: randomUUID(), content: 'x'.repeat(50_000) }), 'content_too_long', 400)
  t.equal((await socket.ask({ type: 'send_message', conversation_id, content: 'still here' })).type, 'ack')
})

t.test('what this server does not offer is unavailable, and not held against the client', async t => {
  const socket = await platform.connect(t, ada)
  const frames: Frame[] = [
    { type: 'typing', conversation_id, is_typing: true },
    { type: 'set_presence', status: 'away' },
    { type: 'subscribe_presence', user_ids: [ben.id] },
    { type: 'unsubscribe_presence', user_ids: [ben.id] },
    { type: 'subscribe_dashboard' },
    { type: 'unsubscribe_dashboard' }
  ]
  for (const frame of frames) isError(t, await socket.ask(frame), 'unavailable', 503)
  t.equal((await socket.ask({ type: 'send_message', conversation_id, content: 'still here' })).type, 'ack')
})

const send = (more: object) => JSON.stringify({ type: 'send_message', id: 'm', conversation_id, content: 'x', ...more })
/** What is malformed, the code it gets, and whether its answer can carry the id. */
const MALFORMED: [what: string, data: string | Uint8Array, code: string, id?: string][] = [
  ['no JSON', 'hello', 'invalid_frame'],
  ['an empty frame', '', 'invalid_frame'],
  ['a binary frame', Buffer.from(send({})), 'invalid_frame'],
  ['a number', '7', 'invalid_frame'],
  ['null', 'null', 'invalid_frame'],
  ['a list', `[${send({})}]`, 'invalid_frame'],
  ['no type', JSON.stringify({ id: 'm' }), 'invalid_frame', 'm'],
  ['a type that is no text', JSON.stringify({ type: 7, id: 'm' }), 'invalid_frame', 'm'],
  ['an unknown type', JSON.stringify({ type: 'drop_table', id: 'm' }), 'invalid_frame', 'm'],
  ['a type of the server', JSON.stringify({ type: 'new_message', id: 'm' }), 'invalid_frame', 'm'],
  ['a type of the object’s own', JSON.stringify({ type: 'constructor', id: 'm' }), 'invalid_frame', 'm'],
  ['an unknown field', send({ extra: 1 }), 'unknown_field', 'm'],
  ['a sender', send({ sender_id: ben.id, user_id: ben.id }), 'unknown_field', 'm'],
  ['a time of one’s own', send({ created_at: '2020-01-01T00:00:00.000Z' }), 'unknown_field', 'm'],
  ['a prototype', '{"type":"ping","id":"m","__proto__":{"a":1}}', 'unknown_field', 'm'],
  ['no content', JSON.stringify({ type: 'send_message', id: 'm', conversation_id }), 'invalid_frame', 'm'],
  ['content that is no text', send({ content: { toString: 1 } }), 'invalid_frame', 'm'],
  ['an id that is no UUID', send({ conversation_id: '1 or 1=1' }), 'invalid_frame', 'm'],
  ['an id of a frame that is a number', send({ id: 7 }), 'invalid_frame'],
  ['an id of a frame that is too long', send({ id: 'x'.repeat(129) }), 'invalid_frame'],
  ['a NUL', send({ content: 'a\u0000b' }), 'invalid_text', 'm'],
  ['a lone surrogate', send({ content: 'a\ud800' }), 'invalid_text', 'm'],
  ['a NUL in a key', send({ metadata: { 'a\u0000': 1 } }), 'invalid_text', 'm'],
  ['endless nesting', send({ metadata: JSON.parse(`${'{"a":'.repeat(500)}1${'}'.repeat(500)}`) }), 'invalid_request', 'm'],
  ['a seq that is no whole number', JSON.stringify({ type: 'mark_read', id: 'm', conversation_id, seq: 1.5 }), 'invalid_frame', 'm'],
  ['a seq past all numbers', `{"type":"mark_read","id":"m","conversation_id":"${conversation_id}","seq":1e999}`, 'invalid_request', 'm'],
  ['a negative cursor', JSON.stringify({ type: 'resume', id: 'm', cursors: { [conversation_id]: -1 } }), 'invalid_frame', 'm'],
  ['a cursor of no conversation', JSON.stringify({ type: 'resume', id: 'm', cursors: { abc: 1 } }), 'unknown_field', 'm'],
  ['an auth without a token', JSON.stringify({ type: 'auth', id: 'm' }), 'invalid_frame', 'm']
]

t.test('every malformed frame is told so with ws_code 4003, with its id where it had one, and the fifth in a minute closes', async t => {
  for (let from = 0; from < MALFORMED.length; from += 4) {
    const socket = await platform.connect(t, ada)
    for (const [what, data, code, id] of MALFORMED.slice(from, from + 4)) {
      socket.sendRaw(data)
      const error = await socket.next('error')
      isError(t, error, code, 400, 4003)
      t.equal(error.id, id, `${what}: the id`)
      t.equal(error.retryable, false)
    }
    t.equal((await socket.ask({ type: 'join', conversation_id })).type, 'ack', 'four are forgiven')
    for (let n = MALFORMED.slice(from, from + 4).length; n < 5; n++) socket.sendRaw('hello')
    t.same(await socket.closed, { code: 4003, reason: 'too many malformed frames' })
    t.equal(socket.frames.filter(({ type }) => type === 'error').length, 5, 'the fifth was told as well')
  }
  t.equal((await platform.client(ada).post(`/conversations/${conversation_id}/messages`, { content: 'after' })).status, 201)
})
