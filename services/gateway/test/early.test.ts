import { setTimeout as delay } from 'node:timers/promises'
import { failOnLeftovers, until } from '@parley/test-kit'
import t, { type Test } from 'tap'
import { Early } from '../src/socket/early.ts'

failOnLeftovers(t)
const line = (text: string) => Buffer.from(text)

function setup(t: Test) {
  let holes = 0
  const early = new Early(() => holes++)
  t.teardown(() => early.clear())
  return { early, holes: () => holes }
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
  const { early, holes } = setup(t)
  early.hold(5, line('five'))
  early.watch(3)
  early.take(5)
  early.follow(5)
  await delay(150)
  t.equal(holes(), 0)
  early.hold(9, line('nine'))
  early.watch(7)
  await until(() => holes() === 1)
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
