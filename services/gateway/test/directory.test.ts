import { EnsureUsers, type Profile } from '@parley/contracts'
import type { Bus } from '@parley/nats-kit'
import { failOnLeftovers, person, profileOf } from '@parley/test-kit'
import t from 'tap'
import { Coalescer } from '../src/coalescer.ts'
import { Directory } from '../src/directory.ts'

failOnLeftovers(t)

function setup() {
  const ensured: Profile[][] = []
  const bus = {
    async request(contract: object, { users }: { users: Profile[] }) {
      t.equal(contract, EnsureUsers)
      ensured.push(users)
      return { ensured: users.length }
    }
  }
  return { directory: new Directory(bus as unknown as Bus), ensured }
}

t.test('a person is made known once for each profile, by whichever question comes first', async t => {
  const { directory, ensured } = setup()
  const ada = profileOf(person({ name: 'Ada' }))
  const told: (Profile | undefined)[] = []
  const open = (profile: Profile) => directory.tell(profile, async news => void told.push(news))
  await open(ada)
  await open({ ...ada })
  await directory.ensure(ada)
  t.same(told, [ada, undefined])
  t.same(ensured, [])
  const renamed = { ...ada, title: 'Countess' }
  await directory.ensure(renamed)
  await open(renamed)
  t.same(ensured, [[renamed]])
  t.same(told, [ada, undefined, undefined])
})

t.test('a question that fails has made nobody known', async t => {
  const { directory, ensured } = setup()
  const ada = profileOf(person({ name: 'Ada' }))
  await t.rejects(
    directory.tell(ada, async () => {
      throw new Error('the store is away')
    })
  )
  await directory.ensure(ada)
  t.same(ensured, [[ada]])
})

t.test('of two profiles that are told at once neither is believed to be the one that stands', async t => {
  const { directory, ensured } = setup()
  const ada = profileOf(person({ name: 'Ada' }))
  const renamed = { ...ada, title: 'Countess' }
  const slow = Promise.withResolvers<void>()
  const first = directory.tell(ada, () => slow.promise)
  await directory.ensure(renamed)
  slow.resolve()
  await first
  await directory.ensure(renamed)
  t.same(ensured, [[renamed], [renamed]])
  await directory.ensure(renamed)
  t.equal(ensured.length, 2)
})

t.test('questions that come one after the other go out together, a wave at a time, and the first of them at once', async t => {
  const asked: { count: number; at: number }[] = []
  const coalescer = new Coalescer<number, number>(
    async numbers => {
      asked.push({ count: numbers.length, at: performance.now() })
      return numbers.map(n => n * 2)
    },
    100,
    { everyMs: 200 }
  )
  const startedAt = performance.now()
  t.equal(await coalescer.ask(1), 2)
  const waitedMs = asked[0]!.at - startedAt
  const rest: Promise<number>[] = []
  for (let n = 0; n < 5; n++) {
    rest.push(coalescer.ask(n))
    await new Promise(resolve => setImmediate(resolve))
  }
  t.same(await Promise.all(rest), [0, 2, 4, 6, 8])
  t.same(
    asked.map(({ count }) => count),
    [1, 5]
  )
  t.ok(waitedMs < 150, `the first waited ${waitedMs} ms`)
  t.ok(asked[1]!.at - asked[0]!.at >= 199)
})
