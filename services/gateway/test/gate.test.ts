import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { failOnLeftovers, person, profileOf, until } from '@parley/test-kit'
import t, { type Test } from 'tap'
import { textFrame } from '../src/socket/frame.ts'
import { Gate } from '../src/socket/gate.ts'
import { Patience } from '../src/socket/patience.ts'
import { Room } from '../src/socket/room.ts'
import { openPair } from './pair.ts'

failOnLeftovers(t)
const id = randomUUID()
const ada = person()

/** A conversation at version 3 with one connection in it, and what its client has been told. */
async function setup(t: Test) {
  const { connection, client, turn } = await openPair(t)
  const heals: number[] = []
  const parted: { id: string; version: number }[] = []
  const room: Room = new Room(id, {
    turn,
    // Long after the gateway began: a hole is waited for 100 ms.
    patience: new Patience(performance.now() - 600_000),
    heal: ({ version }) => heals.push(version!),
    onHeld: () => {},
    part: (_, { id }, version) => parted.push({ id, version })
  })
  t.teardown(() => room.close())
  room.stand(3)
  room.connections.add(connection)
  connection.rooms.set(room, 3)
  connection.identity = { profile: profileOf(ada), issued_at: null, expires_at: 0 }
  connection.isReady = true
  const versions: number[] = []
  client.on('message', data => versions.push(JSON.parse(String(data)).version))
  const publish = (...given: number[]) =>
    room.receive(
      Buffer.from(given.map(version => `{"type":"new_message","conversation_id":"${id}","version":${version},"message":{}}`).join('\n'))
    )
  return { connection, client, room, publish, versions, heals, parted, turn }
}

t.test('who was put in step beyond the live stream is not told again what it has, and then everything', async t => {
  const { connection, room, publish, versions } = await setup(t)
  const gate = Gate.of(connection)
  gate.hold(id, 3)
  gate.release(room, 5)
  for (const version of [4, 5, 6, 7]) publish(version)

  await until(() => versions.length === 2)
  t.same(versions, [6, 7])
  t.equal(connection.gate, null, 'and the gate costs nothing from there on')
})

t.test('what comes while one is put in step waits, and only what is newer follows', async t => {
  const { connection, room, publish, versions, turn } = await setup(t)
  const gate = Gate.of(connection)
  gate.hold(id, 3)
  publish(4)
  turn.end()
  // Still on its way to the connection when it is put in step.
  publish(5, 6)
  gate.release(room, 5)

  await until(() => versions.length === 1)
  publish(7)
  await until(() => versions.length === 2)
  t.same(versions, [6, 7])
})

t.test('where putting in step failed, what waited goes out as it came', async t => {
  const { connection, room, publish, versions } = await setup(t)
  const gate = Gate.of(connection)
  gate.hold(id, 3)
  publish(4)
  await new Promise(resolve => setImmediate(resolve))
  gate.release(room)
  publish(5)

  await until(() => versions.length === 2)
  t.same(versions, [4, 5])
})

t.test(
  'versions that come early wait for those before them, those that come twice are dropped, and a hole that stays is healed',
  async t => {
    const { publish, versions, heals } = await setup(t)
    publish(5, 4, 4, 3)
    publish(6)
    await until(() => versions.length === 3)
    t.same(versions, [4, 5, 6])

    publish(8)
    publish(9)
    t.same(heals, [], 'it has a little patience')
    await until(() => heals.length === 1)
    t.same([heals, versions], [[6], [4, 5, 6]], 'and nothing passes over the hole')
  }
)

t.test('of many holes that each are filled soon none is healed, however long there is always one', async t => {
  const { publish, versions, heals } = await setup(t)
  // The odd ones come early, and each is followed by the next before what was missing comes.
  publish(5)
  for (let version = 4; version < 24; version += 2) {
    publish(version + 3)
    await delay(15)
    publish(version)
  }
  t.same(heals, [])
  publish(24)
  await until(() => versions.length === 22)
})

t.test('to a reader that is behind nothing live goes, and kept is the version that it was given last', async t => {
  const { connection, client, room, publish, versions, turn } = await setup(t)
  let slow = 0
  connection.onSlow = () => slow++
  client.pause()
  // More than the network between us takes.
  connection.write(textFrame(`{"version":0,"x":"${'x'.repeat(16 * 1024 ** 2)}"}`))
  turn.end()
  t.equal(slow, 1)
  publish(4)
  publish(5, 6)
  turn.end()
  const read = { type: 'message_read', conversation_id: id, user_id: randomUUID(), message_id: randomUUID(), seq: 1, read_at: new Date() }
  room.receiveMoment(Buffer.from(JSON.stringify(read)))
  turn.end()

  client.resume()
  await connection.drained()
  const { gate } = connection
  t.same([...gate!.takeOwed(10)], [[id, 3]], 'from there a sync follows')
  publish(7)
  turn.end()
  gate!.isSlow = false
  gate!.isBehind = false
  gate!.release(room, 6)
  await until(() => versions.length === 2)
  t.same(versions, [0, 7], 'and then what is newer, without what passed by')
  t.equal(connection.gate, null)
})

t.test('a removal ends the stream of whom it names, and of nobody who came in after it', async t => {
  const { connection, room, publish, versions, parted, turn } = await setup(t)
  const removed = (version: number, user_id: string) =>
    room.receive(
      Buffer.from(
        `{"type":"participant_removed","conversation_id":"${id}","version":${version},"participant":{"user_id":"${user_id}","is_active":false}}`
      )
    )
  connection.rooms.set(room, 4)
  removed(4, ada.id)
  removed(5, randomUUID())
  publish(6)
  removed(7, ada.id)
  publish(8)
  turn.end()
  await until(() => versions.length === 4)
  t.same(versions, [4, 5, 6, 7])
  t.same(parted, [{ id, version: 7 }])
})
