import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { failOnLeftovers, until } from '@parley/test-kit'
import { Server } from 'socket.io'
import t, { type Test } from 'tap'
import { type WebSocket, WebSocketServer } from 'ws'
import { Crowd } from '../src/load/crowd.ts'

failOnLeftovers(t)

/** One socket of a server that is made for these tests: what a new message and an end look like is its own affair. */
interface Listener {
  tell(message: object): void
  end(): void
}
type Deliver = (listeners: Listener[], message: object, count: number) => void

const toAll: Deliver = (listeners, message) => {
  for (const listener of listeners) listener.tell(message)
}

interface Said {
  conversation_id: string
  content: string
}

/** Hands each message that comes to `onSend`, and its acknowledgement to the sender. @returns the server's address */
type Start = (t: Test, onListener: (listener: Listener) => void, onSend: (said: Said) => object) => Promise<string>

const startJson: Start = async (t, onListener, onSend) => {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 })
  t.teardown(() => server.close())
  server.on('connection', (socket: WebSocket) => {
    onListener({
      tell: message => socket.send(JSON.stringify({ type: 'new_message', ...message })),
      end: () => socket.close(4010, 'too slow')
    })
    socket.on('message', data => {
      const { id, ...said } = JSON.parse(String(data))
      socket.send(JSON.stringify({ type: 'ack', id, message: onSend(said) }))
    })
    socket.send('{"type":"ready"}')
  })
  await until(() => server.address() !== null)
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const startSocketio: Start = async (t, onListener, onSend) => {
  const http = createServer()
  const io = new Server(http, { transports: ['websocket'] })
  t.teardown(() => io.close())
  io.on('connection', socket => {
    onListener({ tell: message => socket.emit('new_message', message), end: () => socket.disconnect(true) })
    socket.on('send_message', (said: Said, acknowledge) => acknowledge({ message: onSend(said) }))
    socket.emit('ready', {})
  })
  await new Promise<void>(resolve => http.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(http.address() as AddressInfo).port}`
}

/** Two people in one conversation, at a server that delivers as it is told; each has sent three messages. */
async function talk(t: Test, target: 'socketio' | 'broadcast', deliver: Deliver, { shape = (content: string) => ({ content }) } = {}) {
  const listeners: Listener[] = []
  let count = 0
  const start = target === 'socketio' ? startSocketio : startJson
  const url = await start(
    t,
    listener => listeners.push(listener),
    ({ conversation_id, content }) => {
      const message = shape(content)
      deliver(listeners, { conversation_id, message }, ++count)
      return message
    }
  )
  const people = ['a', 'b'].map(name => ({ user_id: randomUUID(), token: name }))
  const crowd = new Crowd(target, [{ id: randomUUID(), members: people }])
  t.teardown(() => crowd.close())
  await crowd.open([url])
  for (let turn = 0; turn < 6; turn++) {
    crowd.personAt(turn).send()
    await until(() => crowd.unacknowledged === 0)
  }
  return crowd
}

for (const [name, target] of [
  ['the broadcast', 'broadcast'],
  ['Socket.IO', 'socketio']
] as const) {
  t.test(`${name}: a server that delivers everything once and in order has no fault`, async t => {
    const crowd = await talk(t, target, toAll)
    await until(() => crowd.isComplete)
    crowd.checkComplete()
    t.same(crowd.faults, [])
    t.equal(crowd.delivered, 12)
    t.equal(crowd.accepted, 6)
    t.ok(crowd.latencies.quantile(0.5) > 0)
  })

  t.test(`${name}: large frames are read as well, however they are cut`, async t => {
    const crowd = await talk(t, target, toAll, { shape: content => ({ padding: 'x'.repeat(100_000), content }) })
    await until(() => crowd.isComplete)
    t.same(crowd.faults, [])
  })

  t.test(`${name}: a message that does not come is told, in the middle and at the end`, async t => {
    const middle = await talk(t, target, (listeners, message, count) => toAll(count === 2 ? listeners.slice(1) : listeners, message, count))
    await until(() => middle.faults.length > 0)
    t.match(middle.faults[0], /receiver \d .* got message 2 of sender 1 where 1 comes next/)

    const end = await talk(t, target, (listeners, message, count) => toAll(count === 6 ? listeners.slice(1) : listeners, message, count))
    await until(() => end.outstanding === 1)
    end.checkComplete()
    t.match(end.faults[0], /of the 3 messages of sender 1 only 2 came to receiver \d/)
  })

  t.test(`${name}: a message that comes twice is told`, async t => {
    const crowd = await talk(t, target, (listeners, message, count) =>
      toAll(count === 3 ? [...listeners, listeners[0]!] : listeners, message, count)
    )
    await until(() => crowd.faults.length > 0)
    t.match(crowd.faults, [/receiver \d .* got message 2 of sender 0 where 3 comes next/])
  })

  t.test(`${name}: an order that differs from one receiver to the other is told`, async t => {
    let late: object = {}
    const crowd = await talk(t, target, (listeners, message, count) => {
      listeners[1]!.tell(message)
      // The first receiver gets the second message before the first: each sender's own order is kept.
      if (count === 1) late = message
      else listeners[0]!.tell(message)
      if (count === 2) listeners[0]!.tell(late)
    })
    await until(() => crowd.isComplete)
    t.same(crowd.faults, [])
    crowd.checkComplete()
    t.match(crowd.faults, [/receiver \d .* saw another order than receiver \d/])
  })

  t.test(`${name}: a socket that ends is told`, async t => {
    const crowd = await talk(t, target, (listeners, message, count) => {
      toAll(listeners, message, count)
      if (count === 6) listeners[1]!.end()
    })
    await until(() => crowd.faults.length > 0)
    t.match(crowd.faults, [
      target === 'socketio'
        ? /receiver \d .* got what nobody expects: 41|socket of receiver \d .* ended/
        : /socket of receiver \d .* ended: closed with 4010 too slow/
    ])
  })
}
