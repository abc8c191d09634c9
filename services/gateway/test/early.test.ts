import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { failOnLeftovers, until } from '@parley/test-kit'
import t, { type Test } from 'tap'
import { Early } from '../src/socket/early.ts'
import { Patience } from '../src/socket/patience.ts'

failOnLeftovers(t)
const line = (text: string) => Buffer.from(text)

/** Long after the gateway began: a hole is waited for 100 ms. */
function setup(t: Test) {
  const patience = new Patience(performance.now() - 600_000)
  let holes = 0
  const early = new Early(patience, () => holes++)
  t.teardown(() => early.clear())
  /** Something comes, and what is before it is missing. */
  const open = (version: number) => {
    early.hold(version, line(`${version}`))
    early.watch(version - 2)
  }
  return { early, open, holes: () => holes, patienceMs: () => patience.ms(performance.now()) }
}

t.test('what came early is given away once, and forgotten once the conversation has got past it', async t => {
  const { early } = setup(t)
  t.equal(early.hold(7, line('seven')), true)
  t.equal(early.hold(7, line('seven')), false, 'it is held already')
  early.hold(9, line('nine'))
  early.hold(5, line('five'))
  t.equal(String(early.take(7)), 'seven')
  t.equal(early.take(7), undefined)
  early.follow(7)
  t.same(early.versions, [9])
})

t.test('a hole that stays is told of, and one behind which nothing is held any more is not', async t => {
  const { early, open, holes } = setup(t)
  open(5)
  early.take(5)
  early.follow(5)
  await delay(150)
  t.equal(holes(), 0)
  open(9)
  await until(() => holes() === 1)
})

t.test('what fills a hole late makes patience longer, also where the store was asked for it meanwhile', async t => {
  const { early, open, holes, patienceMs } = setup(t)
  open(5)
  await delay(80)
  early.came(4)
  early.follow(5)
  t.ok(patienceMs() > 150, `it is ${patienceMs()} ms`)
  t.equal(holes(), 0)

  open(9)
  await until(() => holes() === 1)
  await delay(40)
  // The store has told of all of them before it comes, and the next one is missing by then.
  early.follow(9)
  open(11)
  const before = patienceMs()
  early.came(8)
  t.ok(patienceMs() > before, `it is ${patienceMs()} ms, and was ${before}`)
  const after = patienceMs()
  await delay(60)
  early.came(8)
  t.ok(patienceMs() <= after, 'once: a repetition says nothing')
})

t.test('what never comes does not make patience longer, however much is lost', async t => {
  const { early, open, holes, patienceMs } = setup(t)
  for (let lost = 1; lost <= 5; lost++) {
    open(2 * lost + 1)
    await until(() => holes() === lost)
    early.follow(2 * lost + 1)
  }
  t.equal(patienceMs(), 100)
})

t.test('a gateway that was late itself reads what has arrived before it takes anything for missing', async t => {
  const { early, open, holes } = setup(t)
  const server = createServer().listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await once(server, 'listening')
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  t.teardown(() => client.destroy())
  const [socket] = (await once(server, 'connection')) as [Socket]
  const read = once(socket, 'data').then(() => {
    early.came(4)
    early.follow(5)
  })
  open(5)
  client.write('4')
  for (const until = performance.now() + 200; performance.now() < until; );
  await read
  await new Promise(resolve => setImmediate(resolve))
  t.equal(holes(), 0)
})

t.test('more than a mebibyte of what came early is not held but asked for at once, and then counted anew', async t => {
  const { early, holes } = setup(t)
  const half = Buffer.alloc(512 * 1024)
  for (const version of [5, 6]) early.hold(version, half)
  t.equal(holes(), 0)
  early.hold(7, line('seven'))
  t.equal(holes(), 1)
  t.equal(early.size, 0)
  for (const version of [5, 6]) early.hold(version, half)
  early.take(6)
  early.hold(7, half)
  t.equal(holes(), 1)
  t.same(early.versions, [5, 7])
})
