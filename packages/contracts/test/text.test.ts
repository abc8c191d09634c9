import t from 'tap'
import { AppError, CONTENT_MAX, cleanContent, cleanName, cleanText } from '../src/index.ts'

const NUL = '\u0000'
const HIGH = '\ud83d'
const LOW = '\ude00'

t.test('a text with NUL or a lone surrogate is refused, and the field is named', async t => {
  for (const text of [`a${NUL}b`, NUL, `a${HIGH}`, `${LOW}b`, `${LOW}${HIGH}`]) {
    for (const clean of [cleanText, (x: string) => cleanContent(x), (x: string, field?: string) => cleanName(x, field ?? 'text', 10)]) {
      t.throws(() => clean(text), { code: 'invalid_text', status: 400 })
    }
    t.throws(() => cleanText(text, 'title'), { errors: [{ path: '/title' }] })
  }
  t.equal(cleanContent(`${HIGH}${LOW}`), '😀', 'a pair is a character')
})

t.test('a text is kept as NFC, so the same word is the same however it was typed', async t => {
  const decomposed = 'e\u0301 \u1112\u1161\u11ab'
  t.equal(cleanText(decomposed), 'é 한')
  t.equal(cleanName(decomposed, 'title', 100), 'é 한')
})

t.test('line breaks become line feeds, other control characters go, white space at the ends goes', async t => {
  t.equal(cleanText('\r\n  one\r\ntwo\tthree\u0007\u001b[31m\u0085 \n'), 'one\ntwo\tthree[31m')
  t.equal(cleanText('\u0009\u000b\u00a0\ufeffx\u3000'), 'x')
})

t.test('a content has 1 to 5,000 characters, an emoji being one', async t => {
  t.equal(CONTENT_MAX, 5_000)
  t.equal(cleanContent('x'), 'x')
  for (const character of ['x', '漢', '😀']) {
    t.equal(cleanContent(character.repeat(5_000)), character.repeat(5_000))
    t.throws(() => cleanContent(character.repeat(5_001)), { code: 'content_too_long', message: /5001 characters, 5000 are allowed/ })
  }
  t.equal(cleanContent(`  ${'x'.repeat(5_000)}  `).length, 5_000, 'the length is counted after trimming')
  t.equal(cleanContent('e\u0301'.repeat(5_000)).length, 5_000, 'and after composing')
  t.throws(() => cleanContent('12345', 4), { code: 'content_too_long' }, 'an organization may allow less')
})

t.test('a content of which nothing can be seen is empty', async t => {
  const nothing = [
    '',
    ' \n\t',
    '\u200b\u200d\ufeff',
    '\u0301\u0302',
    '\u00ad',
    '\u2060\u2066\u2069',
    '\u3164\u115f\uffa0',
    '\ufe0f',
    '\u0007'
  ]
  for (const content of nothing) t.throws(() => cleanContent(content), { code: 'content_empty' }, JSON.stringify(content))
  for (const content of ['0', '.', '👍🏽', '❤️', '한', 'ا', '🇰🇷']) t.equal(cleanContent(content), content)
})

t.test('a name is one line without direction overrides, cut between characters', async t => {
  t.equal(cleanName(' Ada\n\u202eLove\u2066lace\u200f\t 1 ', 'title', 100), 'Ada Lovelace 1')
  t.equal(cleanName('😀😀😀', 'title', 5), '😀😀', 'at most as many units as maxLength allows')
  t.equal(cleanName('one two', 'title', 4), 'one')
  t.equal(cleanContent('\u202eabc'), '\u202eabc', 'a content keeps them')
})

t.test('what is refused is an AppError with a status from the table', async t => {
  const error = t.throws(() => cleanContent('')) as unknown
  t.ok(error instanceof AppError)
})
