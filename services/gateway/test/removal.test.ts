import { colleagues, type Frame, failOnLeftovers, Ledger, type Person, startPlatform, until } from '@parley/test-kit'
import t from 'tap'
import { group, known } from './expect.ts'

failOnLeftovers(t)
const platform = await startPlatform(t, { gateways: 2, stores: 2 })
const RACES = 200

const remove = (by: Person, conversation_id: string, { id }: Person) =>
  platform.client(by).delete(`/conversations/${conversation_id}/participants/${id}`)
const add = (by: Person, conversation_id: string, { id }: Person) =>
  platform.client(by).post(`/conversations/${conversation_id}/participants`, { user_id: id })
const say = (by: Person, conversation_id: string, content: string) =>
  platform.client(by).post(`/conversations/${conversation_id}/messages`, { content })

/** What a socket was told of a conversation while its person was not in it, or beyond their removal. */
function leaksOf(frames: readonly Frame[], id: string): string[] {
  const leaks: string[] = []
  let last = 0
  let isIn = true
  for (const { type, conversation_id, version, participant } of frames) {
    if (conversation_id !== id || version === undefined) continue
    if (type === 'conversation_removed') {
      if (last > version) leaks.push(`${last} came though they were removed at ${version}`)
      isIn = false
    } else if (type === 'conversation_added') {
      isIn = true
    } else if (!isIn) {
      leaks.push(`${type} ${version}${participant ? ` of ${participant.display_name}` : ''} after the removal`)
    }
    last = version
  }
  return leaks
}

t.test('whoever is removed is told so on all their sockets, and nothing after it; a later return is told as well', async t => {
  const [ada, ben] = colleagues('Ada', 'Ben')
  const conversation_id = await group(platform, ada, ben)
  const sockets = await Promise.all([0, 1].map(gateway => platform.connect(t, ben, { gateway })))
  const witness = await platform.connect(t, ada)
  await say(ada, conversation_id, 'before')
  for (const socket of sockets) await socket.next('new_message')
  t.equal((await remove(ada, conversation_id, ben)).status, 204)
  await say(ada, conversation_id, 'after')
  await witness.next(({ type, message }) => type === 'new_message' && message.content === 'after')
  for (const socket of sockets) {
    t.match(await socket.next('conversation_removed'), { conversation_id, version: 3 })
    t.match(await socket.ask({ type: 'join', conversation_id }), { type: 'error', code: 'not_a_participant' })
  }

  t.equal((await add(ada, conversation_id, ben)).status, 201)
  for (const socket of sockets)
    t.match(await socket.next('conversation_added'), { conversation_id, conversation: { my: { role: 'member' } } })
  await say(ada, conversation_id, 'again')
  for (const socket of sockets) {
    await socket.next(({ type, message }) => type === 'new_message' && message.content === 'again')
    t.same(leaksOf(socket.frames, conversation_id), [])
    t.notMatch(JSON.stringify(socket.frames), '"content":"after"')
  }
  t.equal((await remove(ben, conversation_id, ben)).status, 204, 'leaving is the same')
  for (const socket of sockets) await socket.next('conversation_removed')
})

t.test(`of ${RACES} removals while a send is in flight none lets a socket hear what is newer`, { timeout: 180_000 }, async t => {
  const [ada, ben, cleo] = colleagues('Ada', 'Ben', 'Cleo')
  const conversation_id = await group(platform, ada, ben, cleo)
  const sockets = await Promise.all([0, 1].map(gateway => platform.connect(t, ben, { gateway })))
  const writers = await Promise.all([platform.connect(t, ada), platform.connect(t, cleo, { gateway: 1 })])
  const count = (type: string) => Math.min(...sockets.map(({ frames }) => frames.filter(frame => frame.type === type).length))
  for (let n = 0; n < RACES; n++) {
    for (const writer of writers) for (let m = 0; m < 2; m++) writer.send({ type: 'send_message', conversation_id, content: `${n}` })
    const removed = remove(ada, conversation_id, ben)
    for (const writer of writers) for (let m = 0; m < 2; m++) writer.send({ type: 'send_message', conversation_id, content: `${n}` })
    t.equal((await removed).status, 204)
    await until(() => count('conversation_removed') === n + 1, { what: `removal ${n} is told` })
    t.equal((await add(ada, conversation_id, ben)).status, 201)
    await until(() => count('conversation_added') === n + 1, { what: `return ${n} is told` })
  }
  await say(ada, conversation_id, 'the end')
  for (const socket of sockets) {
    await socket.next(({ type, message, messages }) => [message, ...(messages ?? [])].some(m => m?.content === 'the end') && type !== 'ack')
    t.same(leaksOf(socket.frames, conversation_id), [])
  }
})

t.test(
  'who is removed and brought back again and again among messages is told everything of each stay, and no hole',
  { timeout: 180_000 },
  async t => {
    const [ada, ben, cleo] = colleagues('Ada', 'Ben', 'Cleo')
    const conversation_id = await group(platform, ada, ben, cleo)
    const sockets = await Promise.all([0, 1].map(gateway => platform.connect(t, ben, { gateway })))
    const writers = await Promise.all([platform.connect(t, ada), platform.connect(t, cleo, { gateway: 1 })])
    const write = (content: string) => {
      for (const writer of writers) for (let m = 0; m < 3; m++) writer.send({ type: 'send_message', conversation_id, content })
    }
    for (let n = 0; n < RACES; n++) {
      write(`${n}`)
      t.equal((await remove(ada, conversation_id, ben)).status, 204)
      write(`${n}`)
      t.equal((await add(ada, conversation_id, ben)).status, 201)
    }
    const { body: last } = await say(ada, conversation_id, 'the end')
    for (const socket of sockets) {
      const ledger = new Ledger()
      let taken = 0
      await until(
        () => {
          while (taken < socket.frames.length) ledger.take(socket.frames[taken++]!)
          return ledger.held(conversation_id) === last.version
        },
        { timeoutMs: 30_000, what: 'all is held' }
      )
      t.same(ledger.faults, [])
      t.same(leaksOf(socket.frames, conversation_id), [])
    }
  }
)

t.test('a removal whose event was lost ends the stream with the next that comes, and a lost addition is told with the bus', async t => {
  const [ada, ben, cleo] = colleagues('Ada', 'Ben', 'Cleo')
  const conversation_id = await group(platform, ada, ben)
  const another = await group(platform, ada, ben)
  await known(platform, cleo)
  const [removed, added] = [await platform.connect(t, ben), await platform.connect(t, cleo)]
  const forget = (id: string) =>
    platform.database.query(
      `with c as (update messaging.conversations set version = version + 1, changed_version = version + 1 where id = $1 returning id, version)
       update messaging.participants p set is_active = false, version = c.version from c where p.conversation_id = c.id and p.user_id = $2`,
      [id, ben.id]
    )
  await forget(conversation_id)
  await say(ada, conversation_id, 'not for Ben')
  t.match(await removed.next('conversation_removed'), { conversation_id })

  await platform.nats.crash()
  await forget(another)
  await platform.database.query(
    `insert into messaging.participants (conversation_id, user_id, org_id, role, version, joined_at)
     select id, $2, org_id, 'member', version, now() from messaging.conversations where id = $1`,
    [conversation_id, cleo.id]
  )
  await platform.nats.start()
  t.match(await removed.next('conversation_removed', 20_000), { conversation_id: another })
  t.match(await added.next('conversation_added', 20_000), { conversation_id, conversation: { id: conversation_id } })
  await until(async () => (await say(ada, another, 'not for Ben either')).status === 201)
  await until(async () => (await say(ada, conversation_id, 'for Cleo')).status === 201)
  await added.next(({ type, message }) => type === 'new_message' && message.content === 'for Cleo')
  t.notMatch(JSON.stringify(removed.frames), 'not for Ben')
})
