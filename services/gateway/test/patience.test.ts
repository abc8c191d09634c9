import { failOnLeftovers } from '@parley/test-kit'
import t from 'tap'
import { Patience } from '../src/socket/patience.ts'

failOnLeftovers(t)
const MINUTE = 60_000

t.test('who has just begun waits for half a second, and within a minute, where nothing comes by itself, for as little as ever', async t => {
  const patience = new Patience(0)
  t.equal(patience.ms(0), 500)
  t.equal(patience.ms(20_000), 250)
  t.equal(patience.ms(MINUTE), 100)
})

t.test('it waits for twice the longest that something was late, which it believes half as much every 20 s', async t => {
  const patience = new Patience(-MINUTE)
  patience.learn(20, 0)
  t.equal(patience.ms(0), 100, 'never for less')
  patience.learn(200, 0)
  t.equal(patience.ms(0), 400)
  for (let now = 0; now < 1_000; now++) patience.learn(5, now)
  t.ok(patience.ms(1_000) > 380, 'and however many come in time, the next late one is expected')
  t.equal(patience.ms(20_000), 200)
  patience.learn(150, 20_000)
  t.equal(patience.ms(20_000), 300)
  t.equal(patience.ms(20_000 + MINUTE), 100)
})

t.test('it waits for no longer than a second, no longer afterwards, and what comes later than that was lost', async t => {
  const patience = new Patience(-MINUTE)
  patience.learn(2_000, 0)
  t.equal(patience.ms(0), 100)
  patience.learn(900, 0)
  t.equal(patience.ms(0), 1_000)
  t.equal(patience.ms(20_000), 500)
})
