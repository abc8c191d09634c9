import { EnsureUsers, type Presented, type Profile } from '@parley/contracts'
import type { Bus } from '@parley/nats-kit'
import { failOnLeftovers, person, profileOf } from '@parley/test-kit'
import t from 'tap'
import { Coalescer } from '../src/coalescer.ts'
import { Directory } from '../src/directory.ts'

failOnLeftovers(t)

function setup() {
  const ensured: Presented[][] = []
  const bus = {
    async request(contract: object, { users }: { users: Presented[] }) {
      t.equal(contract, EnsureUsers)
      ensured.push(users)
      return { ensured: users.length }
    }
  }
  return { directory: new Directory(bus as unknown as Bus), ensured }
}

/** A person as a token says, and what the store is told of that. */
const identity = (profile: Profile, issued_at = 7) => ({ profile, issued_at, expires_at: 0 })
const presented = (profile: Profile): Presented => ({ ...profile, issued_at: 7 })

t.test('a person is made known once for each profile, by whichever question comes first', async t => {
  const { directory, ensured } = setup()
  const ada = profileOf(person({ name: 'Ada' }))
  const told: (Presented | undefined)[] = []
  const open = (profile: Profile, issued_at?: number) => directory.tell(identity(profile, issued_at), async news => void told.push(news))
  await open(ada)
  await open({ ...ada }, 8)
  await directory.ensure(identity(ada, 9))
  t.same(told, [presented(ada), undefined], 'also where the token is a newer one')
  t.same(ensured, [])
  const renamed = { ...ada, title: 'Countess' }
  await directory.ensure(identity(renamed))
  await open(renamed)
  t.same(ensured, [[presented(renamed)]])
  t.same(told, [presented(ada), undefined, undefined])
})

t.test('a question that fails has made nobody known', async t => {
  const { directory, ensured } = setup()
  const ada = profileOf(person({ name: 'Ada' }))
  await t.rejects(
    directory.tell(identity(ada), async () => {
      throw new Error('the store is away')
    })
  )
  await directory.ensure(identity(ada))
  t.same(ensured, [[presented(ada)]])
})

t.test('who is forgotten while the store is asked of them is asked for again', async t => {
  const { directory, ensured } = setup()
  const ada = profileOf(person({ name: 'Ada' }))
  const slow = Promise.withResolvers<void>()
  const first = directory.tell(identity(ada), () => slow.promise)
  directory.forget(ada.id, ada.org_id)
  slow.resolve()
  await first
  await directory.ensure(identity(ada))
  t.same(ensured, [[presented(ada)]])
})

t.test('of two profiles that are told at once neither is believed to be the one that stands', async t => {
  const { directory, ensured } = setup()
  const ada = profileOf(person({ name: 'Ada' }))
  const renamed = { ...ada, title: 'Countess' }
  const slow = Promise.withResolvers<void>()
  const first = directory.tell(identity(ada), () => slow.promise)
  await directory.ensure(identity(renamed))
  slow.resolve()
  await first
  await directory.ensure(identity(renamed))
  t.same(ensured, [[presented(renamed)], [presented(renamed)]])
  await directory.ensure(identity(renamed))
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
