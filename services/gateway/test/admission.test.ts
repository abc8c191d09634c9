import { failOnLeftovers } from '@parley/test-kit'
import t from 'tap'
import { Admission } from '../src/socket/admission.ts'

failOnLeftovers(t)

/** Work that is under way until it is told to end. */
function open() {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { work: () => promise, end: resolve }
}

t.test('so many are let in at once and no more, and the others in the order in which they came', async t => {
  const admission = new Admission(2, 10)
  const works = Array.from({ length: 5 }, open)
  const begun: number[] = []
  const done = works.map(({ work }, n) =>
    admission.run(() => {
      begun.push(n)
      return work()
    }, 60_000)
  )
  t.same(begun, [0, 1])
  t.same(admission.size, { underWay: 2, waiting: 3 })
  works[1]!.end()
  await done[1]
  t.same(begun, [0, 1, 2])
  for (const { end } of works) end()
  await Promise.all(done)
  t.same(begun, [0, 1, 2, 3, 4])
  t.same(admission.size, { underWay: 0, waiting: 0 })
})

t.test('who waits longer than their patience, or finds too many waiting, is asked to come again', async t => {
  const admission = new Admission(1, 1)
  const first = open()
  const running = admission.run(first.work)
  const impatient = admission.run(async () => 'in', 20)
  await t.rejects(
    admission.run(async () => 'in'),
    { code: 'unavailable', retry_after_ms: 5_000 },
    'one waits already'
  )
  await t.rejects(impatient, { code: 'unavailable', retry_after_ms: 5_000 })
  const patient = admission.run(async () => 'in', 60_000)
  first.end()
  await running
  t.equal(await patient, 'in')
})

t.test('work that fails gives its place on', async t => {
  const admission = new Admission(1, 1)
  await t.rejects(
    admission.run(async () => {
      throw new Error('broken')
    }),
    { message: 'broken' }
  )
  t.equal(await admission.run(async () => 'in'), 'in')
})
