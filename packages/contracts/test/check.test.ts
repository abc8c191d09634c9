import { randomUUID } from 'node:crypto'
import { Type } from '@sinclair/typebox'
import t from 'tap'
import { AppError, check, ERRORS, MessageBody, problem, ROUTES, SendMessageFrame } from '../src/index.ts'

const caught = (run: () => void): AppError => {
  try {
    run()
  } catch (error) {
    if (error instanceof AppError) return error
  }
  throw new Error('no AppError was thrown')
}

t.test('what fits passes, and what may be absent may be absent', async t => {
  t.doesNotThrow(() => check(MessageBody, { content: 'hello' }))
  check(MessageBody, { content: 'hello', client_message_id: 'a', reply_to_id: randomUUID(), metadata: { a: { b: 1 } }, attachments: [] })
})

t.test('a breach says its code and every field, once each', async t => {
  const body = (value: unknown) => caught(() => check(MessageBody, value))

  t.match(body({}), { code: 'invalid_request', errors: [{ path: '/content', message: 'is missing' }] })
  t.match(body({ content: 5 }), { code: 'invalid_request', errors: [{ path: '/content', message: 'must be string' }] })
  t.match(body({ content: 'x', contents: 'y' }), { code: 'unknown_field', errors: [{ path: '/contents', message: 'is not known' }] })
  t.match(body({ content: 'x'.repeat(20_001) }), { code: 'content_too_long', status: 400 })
  t.match(body({ content: 'x', reply_to_id: 'no' }), { errors: [{ path: '/reply_to_id', message: 'must be a UUID' }] })
  t.match(body({ content: 'x', content_type: 'system' }), {
    errors: [{ path: '/content_type', message: /one of text, image, file, audio/ }]
  })
  t.same(
    body({ content: 1, reply_to_id: 2, client_message_id: '' }).errors?.map(({ path }) => path),
    ['/content', '/reply_to_id', '/client_message_id']
  )
  for (const value of [null, [], 'x', 1]) t.equal(body(value).code, 'invalid_request')
})

t.test('no more than ten faulty fields are told, however many a value has', async t => {
  const fields = Object.fromEntries(Array.from({ length: 5_000 }, (_, n) => [`field-${n}`, n]))
  t.equal(caught(() => check(MessageBody, { content: 'x', ...fields })).errors?.length, 10)
  const long = caught(() => check(MessageBody, { content: 'x', [`\ud800${'y'.repeat(10_000)}`]: 1 })).errors?.[0]?.path ?? ''
  t.ok(long.length <= 200 && long.isWellFormed())
})

t.test('a schema may name the code of its breach, and a caller the code of all others', async t => {
  t.equal(caught(() => check(ROUTES.getUser.params!, { user_id: 'me' })).code, 'invalid_id')
  t.equal(caught(() => check(SendMessageFrame.schema, { type: 'send_message' }, 'invalid_frame')).code, 'invalid_frame')
  t.equal(ERRORS.invalid_frame.ws_code, 4003)
})

t.test('ids are UUIDs and times are RFC 3339', async t => {
  const id = Type.String({ format: 'uuid' })
  const time = Type.String({ format: 'date-time' })
  check(id, randomUUID().toUpperCase())
  for (const value of ['', 'x'.repeat(36), `${randomUUID()} `, `${randomUUID()}\n`, '>'])
    t.throws(() => check(id, value), { message: /UUID/ })
  check(time, '2026-01-20T10:30:00.000Z')
  check(time, '2026-01-20T10:30:00+09:00')
  for (const value of ['2026-01-20', '2026-13-01T00:00:00Z', 'yesterday', '2026-01-20T25:00:00Z']) t.throws(() => check(time, value))
})

t.test('a time is one that there is and that can be kept', async t => {
  const time = Type.String({ format: 'date-time' })
  for (const value of [
    '2024-02-29T00:00:00Z',
    '2000-02-29T00:00:00Z',
    '0004-02-29T00:00:00Z',
    '0001-01-01T00:00:00Z',
    '9999-12-31T23:59:59.999Z'
  ])
    t.doesNotThrow(() => check(time, value), value)
  const none = ['2026-02-29T00:00:00Z', '1900-02-29T00:00:00Z', '2026-04-31T00:00:00Z', '2026-01-00T00:00:00Z']
  const beyond = ['0000-01-01T00:00:00Z', '0001-01-01T00:00:00+01:00', '9999-12-31T23:59:59-00:01']
  for (const value of [...none, ...beyond]) t.throws(() => check(time, value), { code: 'invalid_request' }, value)
})

t.test('an error survives its journey as a body, and one nobody knows becomes internal', async t => {
  const error = new AppError('content_too_long', 'content has 5001 characters', { errors: [{ path: '/content', message: 'too long' }] })
  t.match(AppError.from(error.toBody()), { code: error.code, message: error.message, errors: error.errors, status: 400 })
  for (const code of ['of_another_version', 'constructor', 'toString']) {
    t.equal(AppError.from({ code: code as 'internal', detail: '' }).code, 'internal', code)
  }
  t.equal(new AppError('unavailable', 'away').retry_after_ms, 1_000, 'what is away says when to come again')
  t.match(problem(error, 'r-1'), {
    type: 'about:blank',
    status: 400,
    status_code: 400,
    code: 'content_too_long',
    request_id: 'r-1',
    timestamp: /Z$/
  })
})
