import t from 'tap'
import { metadataJson, parseJson, refuseBadText } from '../src/index.ts'

t.test('what is no JSON is invalid_json', async t => {
  for (const raw of ['', '{', 'undefined', "{'a':1}", '{"a":1,}', 'NaN', '\u0000']) t.throws(() => parseJson(raw), { code: 'invalid_json' })
  t.same(parseJson('{"a":[1,"x",null]}'), { a: [1, 'x', null] })
})

t.test('a prototype key is refused, however it is spelt and however deep it lies', async t => {
  const spellings = [
    '__proto__',
    '\\u005f_proto__',
    '\\u005F_proto__',
    '__\\u0070roto__',
    '__pr\\u006fto__',
    '__pro\\u0074o__',
    '_\\u005fproto\\u005F\\u005f'
  ]
  for (const key of spellings) {
    for (const raw of [`{"${key}":{"a":1}}`, `{"a":[{"b":{"${key}":null}}]}`])
      t.throws(() => parseJson(raw), { code: 'unknown_field' }, raw)
  }
  t.same(parseJson('{"content":"__proto__ and \\u005f_proto__"}'), { content: '__proto__ and __proto__' }, 'a text may say it')
})

t.test('NUL and lone surrogates are refused in any string or key, and the field is named', async t => {
  t.throws(() => parseJson('{"a":{"b":["x","\\u0000"]}}'), { code: 'invalid_text', errors: [{ path: '/a/b/1' }] })
  for (const raw of ['"\\ud83d"', '["\\uDE00\\uD83D"]', '{"\\udc00":1}', '{"a\\u0000":1}', '{"a":"\\ud83dx"}']) {
    t.throws(() => parseJson(raw), { code: 'invalid_text' }, raw)
  }
  t.same(parseJson('{"a":"\\ud83d\\ude00"}'), { a: '😀' })
  t.same(parseJson('{"a":"\\\\u0000 \\\\ud800"}'), { a: '\\u0000 \\ud800' }, 'a backslash and a word are not an escape')
})

t.test('what was named in an answer can be written as JSON itself', async t => {
  t.throws(() => refuseBadText({ '\ud800\u0000': '\u0000' }), { errors: [{ path: /^\/\ufffd$/ }] })
})

t.test('nesting of a hundred thousand levels is refused and harms nobody', async t => {
  const deep = (open: string, inner: string, close: string) => open.repeat(100_000) + inner + close.repeat(100_000)
  for (const raw of [deep('[', '', ']'), deep('{"a":', '1', '}'), deep('[', '"\\u0000"', ']'), deep('{"__proto__":', '1', '}')]) {
    t.throws(() => parseJson(raw), { name: 'AppError', code: /^(invalid_request|invalid_text)$/ })
  }
  const brackets = { content: '[{'.repeat(5_000) }
  t.same(parseJson(JSON.stringify(brackets)), brackets, 'brackets in a text are no levels')
  const wide = { list: Array.from({ length: 500 }, (_, n) => ({ n })) }
  t.same(parseJson(JSON.stringify(wide)), wide, 'nor are brackets side by side')
})

t.test('metadata is kept as it is, up to 16 levels and 8 KiB', async t => {
  const nested = (levels: number): object => (levels === 1 ? { end: true } : { a: nested(levels - 1) })
  t.equal(metadataJson(nested(16)), JSON.stringify(nested(16)))
  t.throws(() => metadataJson(nested(17)), { code: 'invalid_request', message: /16 levels/ })

  t.equal(
    metadataJson({ 'a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s': 1 }),
    '{"a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s":1}',
    'a slash is no level'
  )
  const long = { ['x'.repeat(256)]: JSON.parse(`${'['.repeat(50_000)}${']'.repeat(50_000)}`) }
  t.throws(() => metadataJson(long), { code: 'invalid_request' }, 'nor does a long key hide levels')

  const filled = (bytes: number) => ({ a: 'x'.repeat(bytes - '{"a":""}'.length) })
  t.equal(metadataJson(filled(8_192)).length, 8_192)
  t.throws(() => metadataJson(filled(8_193)), { code: 'invalid_request', errors: [{ path: '/metadata' }] })
  t.throws(() => metadataJson({ a: '한'.repeat(2_800) }), { code: 'invalid_request' }, 'bytes count, not characters')
})

t.test('a number in metadata that would come back as another one is refused', async t => {
  t.equal(metadataJson({ a: -1.5, b: Number.MAX_SAFE_INTEGER }), '{"a":-1.5,"b":9007199254740991}')
  for (const raw of ['9007199254740993', '-9007199254740993', '1e999', '1e400']) {
    t.throws(() => metadataJson({ a: [JSON.parse(raw)] }), { code: 'invalid_request', errors: [{ path: '/metadata/a/0' }] }, raw)
  }
})

t.test('a number past all numbers is refused wherever it stands, and one that only looks large is not', async t => {
  for (const raw of ['1e999', '-1E+400', '1e0000400', '9'.repeat(310), `${'9'.repeat(250)}e99`, '17.5e308']) {
    t.throws(() => parseJson(`{"a":[${raw}]}`), { code: 'invalid_request', errors: [{ path: '/a/0' }] }, raw.slice(0, 20))
  }
  for (const raw of ['1e100', '1e-999', '1.7e308', `0.${'1'.repeat(300)}`, '"1e999"', `"${'9'.repeat(400)}"`]) {
    t.same(parseJson(`[${raw}]`), [JSON.parse(raw)], raw.slice(0, 20))
  }
})

t.test('a text of nothing but digits is looked through in one pass', async t => {
  const hostile = JSON.stringify({ a: `${'1'.repeat(199)}x`.repeat(1_000) })
  const since = performance.now()
  for (let n = 0; n < 20; n++) parseJson(hostile)
  const ms = (performance.now() - since) / 20
  t.ok(ms < 60, `${ms.toFixed(2)} ms for 200 kB`)
})
