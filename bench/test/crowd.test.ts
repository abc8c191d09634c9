import { randomUUID } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { failOnLeftovers, until } from '@parley/test-kit'
import t, { type Test } from 'tap'
import { type WebSocket, WebSocketServer } from 'ws'
import { Crowd } from '../src/load/crowd.ts'

failOnLeftovers(t)

type Deliver = (members: WebSocket[], frame: string, count: number) => void

const toAll: Deliver = (members, frame) => {
  for (const member of members) member.send(frame)
}

/** Two people in one conversation, at a server that delivers as it is told; each has sent three messages. */
async function talk(t: Test, deliver: Deliver, { shape = (content: string) => ({ content }) } = {}): Promise<Crowd> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 })
  t.teardown(() => server.close())
  const members: WebSocket[] = []
  let count = 0
  server.on('connection', socket => {
    members.push(socket)
    socket.on('message', data => {
      const { id, conversation_id, content } = JSON.parse(String(data))
      const message = shape(content)
      deliver(members, JSON.stringify({ type: 'new_message', conversation_id, message }), ++count)
      socket.send(JSON.stringify({ type: 'ack', id, message }))
    })
    socket.send('{"type":"ready"}')
  })
  await until(() => server.address() !== null)

  const people = ['a', 'b'].map(name => ({ user_id: randomUUID(), token: name }))
  const crowd = new Crowd('baseline', [{ id: randomUUID(), members: people }])
  t.teardown(() => crowd.close())
  await crowd.open(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  for (let turn = 0; turn < 6; turn++) {
    crowd.personAt(turn).send()
    await until(() => crowd.unacknowledged === 0)
  }
  return crowd
}

t.test('a server that delivers everything once and in order has no fault', async t => {
  const crowd = await talk(t, toAll)
  await until(() => crowd.isComplete)
  crowd.checkComplete()
  t.same(crowd.faults, [])
  t.equal(crowd.delivered, 12)
  t.equal(crowd.accepted, 6)
  t.ok(crowd.latencies.quantile(0.5) > 0)
})

t.test('large frames are read as well, however they are cut', async t => {
  const crowd = await talk(t, toAll, { shape: content => ({ padding: 'x'.repeat(100_000), content }) })
  await until(() => crowd.isComplete)
  t.same(crowd.faults, [])
})

t.test('a message that does not come is told, in the middle and at the end', async t => {
  const middle = await talk(t, (members, frame, count) => toAll(count === 2 ? members.slice(1) : members, frame, count))
  await until(() => middle.faults.length > 0)
  t.match(middle.faults[0], /receiver \d .* got message 2 of sender 1 where 1 comes next/)

  const end = await talk(t, (members, frame, count) => toAll(count === 6 ? members.slice(1) : members, frame, count))
  await until(() => end.outstanding === 1)
  end.checkComplete()
  t.match(end.faults[0], /of the 3 messages of sender 1 only 2 came to receiver \d/)
})

t.test('a message that comes twice is told', async t => {
  const crowd = await talk(t, (members, frame, count) => toAll(count === 3 ? [...members, members[0]!] : members, frame, count))
  await until(() => crowd.faults.length > 0)
  t.match(crowd.faults, [/receiver \d .* got message 2 of sender 0 where 3 comes next/])
})

t.test('an order that differs from one receiver to the other is told', async t => {
  let late = ''
  const crowd = await talk(t, (members, frame, count) => {
    members[1]!.send(frame)
    // The first receiver gets the second message before the first: each sender's own order is kept.
    if (count === 1) late = frame
    else members[0]!.send(frame)
    if (count === 2) members[0]!.send(late)
  })
  await until(() => crowd.isComplete)
  t.same(crowd.faults, [])
  crowd.checkComplete()
  t.match(crowd.faults, [/receiver \d .* saw another order than receiver \d/])
})

t.test('a socket that ends is told', async t => {
  const crowd = await talk(t, (members, frame, count) => {
    toAll(members, frame, count)
    if (count === 6) members[1]!.close(4010, 'too slow')
  })
  await until(() => crowd.faults.length > 0)
  t.match(crowd.faults, [/socket of receiver \d .* ended: closed with 4010 too slow/])
})
