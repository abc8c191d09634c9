import { failOnLeftovers } from '@parley/test-kit'
import t from 'tap'
import { callsIn, readMentions } from '../src/send/mentions.ts'

failOnLeftovers(t)

const people = [
  { user_id: 'ann', username: 'ann' },
  { user_id: 'anna', username: 'Anna' },
  { user_id: 'annK', username: 'Ann Kim' },
  { user_id: 'min', username: '민수' },
  { user_id: 'dot', username: 'd.o-t' },
  { user_id: 'ali', username: 'علي' },
  { user_id: 'twin1', username: 'twin' },
  { user_id: 'twin2', username: 'Twin' }
]
const called = (content: string) => readMentions(content, people).user_ids

t.test('a name is called where it stands whole behind an @, in any case and any script', async t => {
  t.same(called('@ann hello'), ['ann'])
  t.same(called('hello @ANN!'), ['ann'])
  t.same(called('(@anna), and @ann.'), ['anna', 'ann'])
  t.same(called('@민수, 안녕'), ['min'])
  t.same(called('مرحبا @علي'), ['ali'])
  t.same(called('see @d.o-t.'), ['dot'])
  t.same(called('@ann\n@ann'), ['ann'], 'once, however often')
})

t.test('of names that fit at one place the longest is meant, and all who have it', async t => {
  t.same(called('@Ann Kim is here'), ['annK'])
  t.same(called('@Ann Kimberly is not'), ['ann'], 'the name goes on: the shorter one stands whole')
  t.same(called('@twin'), ['twin1', 'twin2'])
})

t.test('an address of mail, a name that goes on and a lone @ call nobody', async t => {
  for (const text of ['mail me: me@ann.example', '@annabelle', '@민수님이', '@', '@@', 'a @ ann', '@ann_', '@nobody', '＠ann'])
    t.same(called(text), [], text)
  t.same(called('@@ann'), ['ann'])
})

t.test('everyone is called by @all, and by that alone', async t => {
  for (const text of ['@all', 'now @ALL: come', '@ann and @all']) t.equal(readMentions(text, people).all, true, text)
  for (const text of ['@allie', 'all', 'x@all', '@al']) t.equal(readMentions(text, people).all, false, text)
})

t.test('a hundred people are called by one message at most', async t => {
  const many = Array.from({ length: 150 }, (_, n) => ({ user_id: `${n}`, username: `person${n}` }))
  t.equal(readMentions(many.map(({ username }) => `@${username}`).join(' '), many).user_ids.length, 100)
})

t.test('a name may have marks, and end in a point', async t => {
  const people = [
    { user_id: 'k', username: 'Ann K.' },
    { user_id: 'p', username: 'प्रिया शर्मा' }
  ]
  t.same(readMentions('@Ann K. and @प्रिया शर्मा!', people).user_ids, ['k', 'p'])
})

t.test('what is looked for in a text is bounded, however often it calls', async t => {
  t.same(callsIn('hi @Ann Kim, @d.o-t!'), [
    ['Ann Kim, @d.o-t!', 'Ann Kim, @d.o-t', 'Ann Kim, @d.o', 'Ann Kim, @d', 'Ann Kim,', 'Ann Kim', 'Ann'],
    ['d.o-t!', 'd.o-t', 'd.o', 'd']
  ])
  t.same(callsIn('write to ann@b.example'), [])
  const calls = callsIn('@a '.repeat(1_600))
  t.same([calls.length, calls[0]!.length], [200, 8])
  t.same(callsIn(`@${'x'.repeat(5_000)}`), [[]])
  t.equal(callsIn(`@${'x'.repeat(200)} y`)[0]![0]!.length, 200)
})
