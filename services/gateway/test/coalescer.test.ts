import { setTimeout as delay } from 'node:timers/promises'
import { failOnLeftovers } from '@parley/test-kit'
import t from 'tap'
import { Coalescer } from '../src/coalescer.ts'

failOnLeftovers(t)

const numbers = (count: number) => Array.from({ length: count }, (_, n) => n)

t.test('what is asked while a question is under way goes into the next one, and each gets its own answer', async t => {
  const sizes: number[] = []
  const asked = Promise.withResolvers<void>()
  const coalescer = new Coalescer<number, number>(async questions => {
    sizes.push(questions.length)
    asked.resolve()
    await delay(5)
    return questions.map(n => n * 2)
  }, 100)
  const first = coalescer.ask(1)
  await asked.promise
  t.same(await Promise.all([first, ...numbers(250).map(n => coalescer.ask(n))]), [2, ...numbers(250).map(n => n * 2)])
  t.same(sizes, [1, 100, 100, 50])
})

t.test('a question that fails fails for those in it, and the next one is asked', async t => {
  const coalescer = new Coalescer<number, number>(async questions => {
    if (questions.includes(1)) throw new Error('away')
    return questions
  }, 1)
  const [one, two] = await Promise.allSettled([coalescer.ask(1), coalescer.ask(2)])
  t.match(
    [one, two],
    [
      { status: 'rejected', reason: { message: 'away' } },
      { status: 'fulfilled', value: 2 }
    ]
  )
})

t.test('where answers are slow, questions become small, and large again where they are quick', async t => {
  const sizes: number[] = []
  let tookMs = 40
  const coalescer = new Coalescer<number, number>(
    async questions => {
      sizes.push(questions.length)
      if (tookMs > 0) await delay(tookMs)
      return questions
    },
    200,
    { targetMs: 20 }
  )
  await Promise.all(numbers(80).map(n => coalescer.ask(n)))
  t.same(sizes.slice(0, 4), [20, 10, 5, 5])
  tookMs = 0
  const from = sizes.length
  await Promise.all(numbers(2_000).map(n => coalescer.ask(n)))
  t.ok(Math.max(...sizes.slice(from)) > 50, `up to ${Math.max(...sizes.slice(from))} at once`)
})
