import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import {
  COLLECTS_GARBAGE,
  colleagues,
  failOnLeftovers,
  Ledger,
  type Person,
  type Platform,
  type Socket,
  startPlatform,
  until
} from '@parley/test-kit'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { BACKLOG_MAX_BYTES } from '../src/socket/connection.ts'
import { textFrame } from '../src/socket/frame.ts'
import { group } from './expect.ts'
import { openPair } from './pair.ts'

failOnLeftovers(t)

const STALLED = 100
/** 20 kB: a few hundred are far more than the network between us takes before its buffers are full. */
const LONG = '\u{1f600}'.repeat(5_000)

async function metric(platform: Platform, name: string): Promise<number> {
  const text = await (await fetch(`${platform.gateways[0]!.opsUrl}/metrics`)).text()
  return Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)`, 'm').exec(text)![1])
}

/** Sends one as clients do: again where the store could not be asked. */
async function sendLong(writer: Socket, conversation_id: string): Promise<void> {
  const client_message_id = randomUUID()
  for (;;) {
    const { type, code } = await writer.ask({ type: 'send_message', conversation_id, client_message_id, content: LONG }, 30_000)
    if (type === 'ack') return
    if (code !== 'unavailable') throw new Error(`refused with ${code}`)
  }
}

/** Sends long messages, a few at a time, until the fact is there; gives how many. */
async function sendUntil(writer: Socket, conversation_id: string, isEnough: (sent: number) => boolean | Promise<boolean>): Promise<number> {
  let sent = 0
  while (!(await isEnough(sent))) {
    await Promise.all(Array.from({ length: 50 }, () => sendLong(writer, conversation_id)))
    sent += 50
  }
  return sent
}

/** A client that looks at nothing of what it is sent, so that a hundred of them cost this process little. */
async function openMute(t: Test, platform: Platform, who: Person): Promise<WebSocket> {
  const url = `${platform.urls[0]!.replace(/^http/, 'ws')}/api/v1/ws`
  const socket = new WebSocket(url, { headers: { authorization: `Bearer ${platform.token(who)}` } })
  t.teardown(() => socket.terminate())
  await once(socket, 'message')
  return socket
}

function ledgerOf({ frames }: Socket): Ledger {
  const ledger = new Ledger()
  for (const frame of frames) ledger.take(frame)
  return ledger
}

async function cast(t: Test, platform: Platform, others: readonly Person[], [ada, ben]: readonly [Person, Person]) {
  const conversation_id = await group(platform, ada, ben, ...others)
  return { conversation_id, writer: await platform.connect(t, ada), steady: await platform.connect(t, ben) }
}

t.test('a reader that stops for three seconds and then reads on gets everything in order, with a sync, and is not closed', async t => {
  const platform = await startPlatform(t)
  const [ada, ben, cleo] = colleagues('Ada', 'Ben', 'Cleo')
  const { conversation_id, writer } = await cast(t, platform, [cleo], [ada, ben])
  const aside = await group(platform, ada, cleo)
  const slow = await platform.connect(t, cleo)
  const other = await platform.connect(t, cleo)
  await platform.client(ada).post(`/conversations/${aside}/messages`, { content: 'to be read' })
  await slow.next('new_message')
  slow.pause()
  const pausedAt = Date.now()
  const sent = await sendUntil(writer, conversation_id, async () => (await metric(platform, 'parley_sockets_slow')) > 0)
  await sendUntil(writer, conversation_id, already => already >= 50)
  // To a slow reader passing frames are not told; what they would have said, it hears in the end.
  await other.ask({ type: 'mark_read', conversation_id: aside })
  await delay(Math.max(0, 3_000 - (Date.now() - pausedAt)))
  await platform.client(ada).post(`/conversations/${aside}/messages`, { content: 'elsewhere' })
  slow.resume()

  await until(() => ledgerOf(slow).messages(conversation_id).length === sent + 50 && ledgerOf(slow).messages(aside).length === 2, {
    timeoutMs: 30_000,
    what: 'all has come'
  })
  t.same(ledgerOf(slow).faults, [])
  t.ok(slow.frames.some(({ type }) => type === 'sync'))
  const unread = await slow.next(({ type, conversation_id: id }) => type === 'unread' && id === aside)
  t.match(unread, { unread_count: Number, unread_total: Number })
  await until(async () => (await metric(platform, 'parley_sockets_slow')) === 0)
  await writer.ask({ type: 'send_message', conversation_id, content: 'and on' })
  t.match(await slow.next(f => f.type === 'new_message' && f.message.content === 'and on'), { version: 2 + sent + 50 }, 'live again')
})

t.test('a hundred sockets that stop reading cost at most 1 MiB each, are closed with 4010, and the memory comes back', async t => {
  const platform = await startPlatform(t, { env: { NODE_OPTIONS: COLLECTS_GARBAGE } })
  const [ada, ben, ...crowd] = colleagues('Ada', 'Ben', ...Array.from({ length: STALLED }, (_, n) => `Stalled ${n}`))
  const { conversation_id, writer, steady } = await cast(t, platform, crowd, [ada, ben])
  const resident = async () => (await metric(platform, 'process_resident_memory_bytes')) / 1024 ** 2
  const stalled = await Promise.all(crowd.map(who => openMute(t, platform, who)))
  const isGone = Promise.all(stalled.map(socket => once(socket, 'close')))
  // Not what the allocator keeps for later: the same talk among two who read grows that by a third in 1,500 messages.
  const held = async () =>
    ((await metric(platform, 'nodejs_heap_size_used_bytes')) + (await metric(platform, 'nodejs_external_memory_bytes'))) / 1024 ** 2
  // What such a talk costs while everybody reads.
  let baseline = 0
  let lowest = Number.POSITIVE_INFINITY
  const before = await sendUntil(writer, conversation_id, async sent => {
    baseline = Math.max(baseline, await resident())
    lowest = Math.min(lowest, await held())
    return sent >= 300
  })
  for (const socket of stalled) socket.pause()
  const since = Date.now()

  let peak = 0
  const sent = await sendUntil(writer, conversation_id, async () => {
    peak = Math.max(peak, await resident())
    // Until all are slow, or the first of them are gone already.
    return (await metric(platform, 'parley_sockets_slow')) >= STALLED || (await metric(platform, 'parley_sockets')) < 2 + STALLED
  })
  t.ok(peak - baseline <= STALLED, `${Math.round(peak - baseline)} MiB more for ${STALLED} sockets`)
  // The talk goes on: of one for whom nothing waits yet, nobody can see that it has stopped.
  const meanwhile = await sendUntil(writer, conversation_id, () =>
    delay(500).then(async () => (await metric(platform, 'parley_sockets')) === 2)
  )
  t.comment(`${sent} messages; gone ${Date.now() - since} ms after they stopped; peak ${Math.round(peak)} MiB over ${Math.round(baseline)}`)
  // What is freed is seen once there is something to do again.
  let after = Number.POSITIVE_INFINITY
  const more = await sendUntil(writer, conversation_id, async already => {
    after = Math.min(after, await held())
    return after <= lowest * 1.1 || already >= 500
  })
  t.ok(after <= lowest * 1.1, `${Math.round(after)} MiB held after, ${Math.round(lowest)} before`)
  for (const socket of stalled) socket.resume()
  const codes = (await isGone).map(([code]) => code)
  t.ok(
    codes.every(code => code === 4010 || code === 1006),
    `${[...new Set(codes)]}`
  )

  await until(() => ledgerOf(steady).messages(conversation_id).length === before + sent + meanwhile + more, {
    what: 'who reads has everything'
  })
  t.same(ledgerOf(steady).faults, [])
  const back = await platform.connect(t, crowd[0]!)
  t.match(await back.ask({ type: 'resume', cursors: { [conversation_id]: 1 } }, 30_000), { type: 'resumed', complete: true })
  t.equal(
    ledgerOf(back).messages(conversation_id).length,
    before + sent + meanwhile + more,
    'and whoever was too slow resumes with nothing lost'
  )
})

t.test('a reader that is behind and then reads on hears 4010 after all that was sent before', async t => {
  const { connection, client } = await openPair(t)
  client.pause()
  let sent = 0
  // Its own answers: they are not left out.
  while (connection.isOpen) {
    connection.write(textFrame('x'.repeat(BACKLOG_MAX_BYTES / 4)))
    connection.putOut()
    if (connection.isOpen) sent++
    await new Promise(resolve => setImmediate(resolve))
  }
  let received = 0
  client.on('message', () => received++)
  client.resume()

  const [code, reason] = await once(client, 'close')
  t.same([code, `${reason}`], [4010, 'too slow'])
  t.equal(received, sent)
})

t.test('a reader that takes nothing for ten seconds is stuck, one that takes a little is not', async t => {
  const { connection, client } = await openPair(t)
  t.equal(connection.isStuck(99_998), false)
  t.equal(connection.isStuck(99_999), false, 'nothing waits')

  client.pause()
  connection.write(textFrame('x'.repeat(32 * 1024 ** 2)))
  connection.putOut()
  t.equal(connection.isStuck(100_000), false)
  t.equal(connection.isStuck(109_998), false)
  t.equal(connection.isStuck(110_000), true)
  client.resume()
  await once(client, 'message').catch(() => {})
  t.equal(connection.isStuck(110_001), false, 'it reads again')
})
