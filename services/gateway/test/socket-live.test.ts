import { randomUUID } from 'node:crypto'
import { colleagues, failOnLeftovers, Ledger, openSocket, type Person, type Socket, startPlatform, until } from '@parley/test-kit'
import t, { type Test } from 'tap'
import { group, known } from './expect.ts'

failOnLeftovers(t)
const platform = await startPlatform(t, { gateways: 2, stores: 2 })

/** A socket whose every frame is held against what a client may rely on. */
async function watch(t: Test, who: Person, gateway = 0): Promise<{ socket: Socket; ledger: () => Ledger }> {
  const socket = await platform.connect(t, who, { gateway })
  const ledger = () => {
    const strict = new Ledger()
    for (const frame of socket.frames) strict.take(frame)
    return strict
  }
  return { socket, ledger }
}

t.test('a conversation that is made reaches who is connected, with every message sent right after it, fifty times over', async t => {
  const [ada, ben] = colleagues('Ada', 'Ben')
  await known(platform, ada, ben)
  const { socket, ledger } = await watch(t, ben, 1)
  const maker = await platform.connect(t, ada)
  for (let n = 0; n < 50; n++) {
    const { body } = await platform.client(ada).post('/conversations', { type: 'group', participant_ids: [ben.id] })
    // By frame and over REST, without a pause.
    for (let m = 0; m < 2; m++) maker.send({ type: 'send_message', conversation_id: body.id, content: `${m}` })
    const { status } = await platform.client(ada, n % 2).post(`/conversations/${body.id}/messages`, { content: 'by REST' })
    if (status !== 201) t.fail(`the send answered ${status}`)
  }

  await until(() => ledger().faults.length > 0 || Object.values(ledger().cursors()).filter(held => held === 4).length === 50).catch(
    () => {}
  )
  t.same(ledger().faults, [])
  t.equal(Object.values(ledger().cursors()).filter(held => held === 4).length, 50, 'three messages of each')
  const added = socket.frames.filter(({ type }) => type === 'conversation_added')
  t.equal(added.length, 50, 'each was told of once')
  t.match(added[0], { conversation_id: added[0]!.conversation.id, conversation: { my: { role: 'member' }, created_by: ada.id } })
})

t.test('who makes a conversation hears of it on all their sockets, as its owner', async t => {
  const [ada, ben] = colleagues('Ada', 'Ben')
  await known(platform, ben)
  const sockets = await Promise.all([platform.connect(t, ada), platform.connect(t, ada, { gateway: 1 })])
  const { body } = await platform.client(ada).post('/conversations', { type: 'group', title: 'Ours', participant_ids: [ben.id] })
  for (const socket of sockets) {
    const { conversation } = await socket.next('conversation_added')
    t.same(conversation, body, 'as the answer has it')
  }
  await platform.client(ben).post(`/conversations/dm/${ada.id}`)
  t.match((await sockets[0]!.next('conversation_added')).conversation, {
    type: 'direct',
    participant: { id: ben.id },
    my: { role: 'member' }
  })
})

t.test('nothing comes before ready, and nothing between ready and what is live is missed, while others make and write', async t => {
  const [ada, ben] = colleagues('Ada', 'Ben')
  await known(platform, ada, ben)
  const conversation_id = await group(platform, ada, ben)
  let isOver = false
  const write = async (gateway: number) => {
    while (!isOver) {
      const { body } = await platform.client(ada, gateway).post('/conversations', { type: 'group', participant_ids: [ben.id] })
      await platform.client(ada, gateway).post(`/conversations/${body.id}/messages`, { content: 'first' })
      await platform.client(ada, gateway).post(`/conversations/${conversation_id}/messages`, { content: randomUUID() })
      await platform.client(ben, gateway).post(`/conversations/${conversation_id}/read`)
    }
  }
  const writers = [write(0), write(1)]
  const visitors: Socket[] = []
  for (let n = 0; n < 40; n++) {
    const socket = openSocket(platform.urls[n % 2]!, platform.token(ben), { how: 'header' })
    visitors.push(socket)
    t.teardown(() => socket.kill())
    await socket.ready
    await socket.next('new_message', 20_000)
    if (n >= 10) visitors[n - 10]!.kill()
  }
  isOver = true
  await Promise.all(writers)
  const { body } = await platform.client(ben).get(`/conversations/${conversation_id}`)

  for (const socket of visitors.slice(-10))
    await until(() => socket.frames.some(({ version, conversation_id: id }) => id === conversation_id && version === body.version))
  for (const [n, socket] of visitors.entries()) {
    const ledger = new Ledger()
    for (const frame of socket.frames) ledger.take(frame)
    t.same(ledger.faults, [], `visitor ${n}`)
  }
})

t.test('a read position is told to the others, my count to my other devices, and neither twice', async t => {
  const [ada, ben] = colleagues('Ada', 'Ben')
  const one = await group(platform, ada, ben)
  const two = await group(platform, ada, ben)
  const asBen = platform.client(ben)
  const { body: first } = await asBen.post(`/conversations/${one}/messages`, { content: '1' })
  await asBen.post(`/conversations/${one}/messages`, { content: '2' })
  await asBen.post(`/conversations/${two}/messages`, { content: '3' })
  const [asking, sibling, distant] = [
    await platform.connect(t, ada),
    await platform.connect(t, ada),
    await platform.connect(t, ada, { gateway: 1 })
  ]
  const other = await platform.connect(t, ben, { gateway: 1 })

  const ack = await asking.ask({ type: 'mark_read', conversation_id: one, message_id: first.id })
  t.match(ack, { last_read_seq: 1, unread_count: 1 })
  for (const device of [sibling, distant]) {
    t.same(await device.next('unread'), { type: 'unread', conversation_id: one, unread_count: 1, unread_total: 2 })
  }
  const read = await other.next('message_read')
  t.match(read, { type: 'message_read', conversation_id: one, user_id: ada.id, message_id: first.id, seq: 1, read_at: /Z$/ })

  await asking.ask({ type: 'mark_read', conversation_id: one, seq: 1 })
  await asking.ask({ type: 'mark_read', conversation_id: one })
  t.match(await distant.next('unread'), { unread_count: 0, unread_total: 1 })
  await other.next(frame => frame.type === 'message_read' && frame.seq === 2)
  t.equal(other.frames.filter(({ type }) => type === 'message_read').length, 2, 'a position that did not move is not told')
  t.equal(distant.frames.filter(({ type }) => type === 'unread').length, 2)
  t.equal(asking.frames.filter(({ type }) => type === 'unread').length, 0, 'who asked has the answer')
  t.equal(other.frames.filter(({ type }) => type === 'unread').length, 0, 'my counts are mine')

  await platform.client(ada).post(`/conversations/${two}/read`)
  for (const device of [asking, sibling, distant])
    t.match(await device.next(f => f.type === 'unread' && f.conversation_id === two), { unread_total: 0 }, 'over REST all devices are told')
})

t.test('a message that is deleted unread lowers the count, on the sockets and in every later answer', async t => {
  const [ada, ben, cleo] = colleagues('Ada', 'Ben', 'Cleo')
  const conversation_id = await group(platform, ada, ben, cleo)
  const asAda = platform.client(ada)
  const { body: first } = await asAda.post(`/conversations/${conversation_id}/messages`, { content: '1' })
  await asAda.post(`/conversations/${conversation_id}/messages`, { content: '2' })
  await platform.client(cleo).post(`/conversations/${conversation_id}/read`)
  const [behind, caughtUp, sender] = [await platform.connect(t, ben), await platform.connect(t, cleo), await platform.connect(t, ada)]

  await asAda.delete(`/messages/${first.id}`)

  t.same(await behind.next('unread'), { type: 'unread', conversation_id, unread_count: 1, unread_total: 1 })
  t.equal((await platform.client(ben, 1).get('/unread')).body.total, 1)
  t.equal((await platform.client(ben, 1).get(`/conversations/${conversation_id}`)).body.first_unread_seq, 2)
  await caughtUp.next('message_deleted')
  await sender.next('message_deleted')
  t.equal([...caughtUp.frames, ...sender.frames].filter(({ type }) => type === 'unread').length, 0, 'nobody else’s')
})

t.test('a resume brings what was missed, in pages, and says what must be read anew', async t => {
  const [ada, ben] = colleagues('Ada', 'Ben')
  const [long, quiet] = [await group(platform, ada, ben), await group(platform, ada, ben)]
  const writer = await platform.connect(t, ada)
  const writers = [writer, await platform.connect(t, ada)]
  const acks = () => writers.flatMap(({ frames }) => frames).filter(({ type }) => type === 'ack').length
  for (let n = 0; n < 620; n++) {
    writers[n % 2]!.send({ type: 'send_message', conversation_id: long, content: `${n}` })
    if (n % 200 === 199) await until(() => acks() === n + 1)
  }
  await until(() => acks() === 620)
  const changed = writer.frames.find(({ type }) => type === 'ack')!.message
  await writer.ask({ type: 'edit_message', message_id: changed.id, content: 'edited' })

  const { socket, ledger } = await watch(t, ben, 1)
  t.match(await socket.ask({ type: 'resume', cursors: { [long.toUpperCase()]: 1, [quiet]: 1 } }), { type: 'resumed', complete: true })
  const syncs = socket.frames.filter(({ type }) => type === 'sync')
  t.ok(syncs.length >= 2, `${syncs.length} pages`)
  t.same(
    syncs.map(({ has_more }) => has_more),
    [...syncs.slice(1).map(() => true), false]
  )
  t.ok(syncs.every(({ messages }) => messages.length <= 500))
  const strict = ledger()
  t.same(strict.faults, [])
  const resumed = new Map(syncs.flatMap(({ messages }) => messages).map(message => [message.id, message]))
  t.equal(resumed.size, 620)
  t.equal(resumed.get(changed.id).content, 'edited')
  t.equal(
    syncs.some(({ conversation_id }) => conversation_id === quiet),
    false,
    'where nothing changed there is nothing to say'
  )

  const ahead = await socket.ask({ type: 'resume', cursors: { [quiet]: 99, [long]: 622 } })
  t.match(ahead, { type: 'resumed', complete: false, reset: [quiet] }, 'a version that is not there yet')
  const nowhere = randomUUID()
  const foreign = await socket.ask({ type: 'resume', cursors: { [nowhere]: 0 } })
  t.match(foreign, { type: 'resumed', complete: false, removed: [nowhere] }, 'a conversation that is not mine')
  await writer.ask({ type: 'send_message', conversation_id: quiet, content: 'live' })
  t.match(await socket.next(f => f.type === 'new_message' && f.conversation_id === quiet), { version: 2 }, 'and the socket goes on')
})
