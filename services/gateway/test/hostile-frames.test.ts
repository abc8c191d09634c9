import { randomUUID } from 'node:crypto'
import { colleagues, type Frame, failOnLeftovers, person, startPlatform, until } from '@parley/test-kit'
import t from 'tap'
import { group, stillWorks } from './expect.ts'

failOnLeftovers(t)
const platform = await startPlatform(t, { gateways: 2, stores: 2 })
const [ada, ben] = colleagues('Ada', 'Ben')
const conversation_id = await group(platform, ada, ben)
const other = await group(platform, ada, ben)
const foreign = await group(platform, person({ name: 'Stranger' }))
const post = async (of: string, content: string) => (await platform.client(ada).post(`/conversations/${of}/messages`, { content })).body
const message = await post(conversation_id, 'here')
const elsewhere = await post(other, 'elsewhere')
const deleted = await post(conversation_id, 'gone')
await platform.client(ada).delete(`/messages/${deleted.id}`)
const [theirs] = await Promise.all([platform.client(ben).post(`/conversations/${conversation_id}/messages`, { content: 'theirs' })])
const say = (more: object): Frame => ({ type: 'send_message', conversation_id, content: 'x', ...more })
const cursors = (count: number, of = () => 0) => Object.fromEntries(Array.from({ length: count }, () => [randomUUID(), of()]))

type Row = [what: string, frame: Frame, code: string, status: number]
/** Frames that fit their contract and are refused for what they ask. They are answers, not breaches: none is counted. */
const REFUSED: Record<string, Row[]> = {
  'changes that are not mine to make': [
    ['an edit of someone else’s message', { type: 'edit_message', message_id: theirs.body.id, content: 'x' }, 'not_the_sender', 403],
    ['a delete of someone else’s message', { type: 'delete_message', message_id: theirs.body.id }, 'not_the_sender', 403],
    ['an edit of a deleted message', { type: 'edit_message', message_id: deleted.id, content: 'x' }, 'message_deleted', 409],
    ['an edit of nothing', { type: 'edit_message', message_id: randomUUID(), content: 'x' }, 'message_not_found', 404],
    ['an edit to nothing', { type: 'edit_message', message_id: message.id, content: ' ' }, 'content_empty', 400],
    ['an attachment that is not there', say({ attachments: [randomUUID()] }), 'attachment_not_found', 404]
  ],
  'replies and positions of elsewhere': [
    ['a reply to another conversation', say({ reply_to_id: elsewhere.id }), 'invalid_reply', 400],
    ['a reply to a deleted message', say({ reply_to_id: deleted.id }), 'invalid_reply', 400],
    ['a reply to nothing', say({ reply_to_id: randomUUID() }), 'invalid_reply', 400],
    ['a read position of another conversation', { type: 'mark_read', conversation_id, message_id: elsewhere.id }, 'message_not_found', 404],
    ['a read position where I am not', { type: 'mark_read', conversation_id: foreign, seq: 1 }, 'conversation_not_found', 404],
    ['a join where I am not', { type: 'join', conversation_id: foreign }, 'conversation_not_found', 404]
  ],
  'metadata that cannot be kept': [
    ['9 KiB', say({ metadata: { a: 'x'.repeat(9_000) } }), 'invalid_request', 400],
    ['17 levels', say({ metadata: JSON.parse(`${'{"a":'.repeat(17)}1${'}'.repeat(17)}`) }), 'invalid_request', 400],
    ['a number that would be rounded', say({ metadata: { n: 2 ** 60 } }), 'invalid_request', 400],
    ['a client_message_id with a control character', say({ client_message_id: 'a\u0007' }), 'invalid_request', 400]
  ]
}
for (const [what, rows] of Object.entries(REFUSED)) {
  t.test(`${what} are refused by frame, each with its code, and are not held against the client`, async t => {
    const socket = await platform.connect(t, ada)
    for (let round = 0; round < 2; round++) {
      for (const [input, frame, code, status] of rows)
        t.match(await socket.ask(frame), { type: 'error', code, status, retryable: false }, input)
    }
    t.equal((await socket.ask(say({}))).type, 'ack')
    await stillWorks(t, platform, ada, conversation_id, what)
  })
}

t.test('a hundred frames with one client_message_id, over four sockets of two gateways, make one message', async t => {
  const sockets = await Promise.all([0, 1, 0, 1].map(gateway => platform.connect(t, ada, { gateway })))
  const client_message_id = randomUUID()
  for (let n = 0; n < 100; n++) sockets[n % 4]!.send(say({ id: `n${n}`, client_message_id }))
  const acks = () => sockets.flatMap(({ frames }) => frames).filter(({ id }) => id?.startsWith('n'))
  await until(() => acks().length === 100)

  t.ok(acks().every(({ type }) => type === 'ack'))
  t.equal(acks().filter(({ duplicate }) => duplicate === undefined).length, 1, 'one of them made it')
  t.equal(new Set(acks().map(ack => JSON.stringify(ack.message))).size, 1, 'all are told the same message')
  const { body } = await platform.client(ben).get(`/conversations/${conversation_id}/messages?limit=100`)
  t.equal(body.messages.filter((m: { client_message_id: string }) => m.client_message_id === client_message_id).length, 1)
})

t.test('a resume with cursors of nowhere is answered, one with too many is malformed, one of a megabyte ends the socket', async t => {
  const socket = await platform.connect(t, ada)
  t.match(await socket.ask({ type: 'resume', cursors: cursors(1_000) }), { type: 'resumed', complete: false })
  t.match(await socket.ask({ type: 'resume', cursors: { [conversation_id]: Number.MAX_SAFE_INTEGER } }), {
    type: 'resumed',
    complete: false
  })
  t.match(await socket.ask({ type: 'resume', cursors: { [foreign]: 0 } }), { type: 'resumed', complete: false })
  t.notMatch(JSON.stringify(socket.frames.filter(({ type }) => type === 'sync')), foreign, 'nothing of elsewhere is told')
  t.match(await socket.ask({ type: 'resume', cursors: cursors(1_001) }), { type: 'error', ws_code: 4003 })
  socket.send({ type: 'resume', cursors: cursors(20_000, () => 1) })
  t.equal((await socket.closed).code, 1009)
})

t.test('joining what is not mine, hundreds of times, costs an answer each and nothing else', async t => {
  const socket = await platform.connect(t, ada)
  for (let n = 0; n < 300; n++) socket.send({ type: 'join', id: `j${n}`, conversation_id: n % 2 ? foreign : randomUUID() })
  await until(() => socket.frames.filter(({ type }) => type === 'error').length === 300)
  const metrics = await (await fetch(`${platform.gateways[0]!.opsUrl}/metrics`)).text()
  t.ok(Number(/^parley_conversations_followed(?:\{[^}]*\})? (\d+)/m.exec(metrics)![1]) <= 2, 'only what is mine is followed')
  await platform.client(ada).post(`/conversations/${conversation_id}/messages`, { content: 'live' })
  await socket.next('new_message')
})

t.test('two resumes at once on one connection bring everything in order', async t => {
  const socket = await platform.connect(t, ben, { gateway: 1 })
  const resumes = [1, 2, 3].map(() => socket.ask({ type: 'resume', cursors: { [conversation_id]: 0, [other]: 0 } }))
  const live = await post(conversation_id, 'meanwhile')
  for (const resumed of await Promise.all(resumes)) t.match(resumed, { type: 'resumed', complete: true })
  await until(
    () =>
      socket.frames.some(frame => frame.type === 'new_message' && frame.message.id === live.id) ||
      socket.frames.some(frame => frame.type === 'sync' && frame.version >= live.version)
  )
  const versions = socket.frames
    .filter(({ type, conversation_id: id }) => type === 'new_message' && id === conversation_id)
    .map(({ version }) => version)
  t.same(
    versions,
    [...new Set(versions)].sort((a, b) => a - b)
  )
})
