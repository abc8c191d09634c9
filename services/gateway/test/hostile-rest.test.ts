import { randomUUID } from 'node:crypto'
import { type Answer, colleagues, failOnLeftovers, person, startPlatform } from '@parley/test-kit'
import t, { type Test } from 'tap'
import { group, isProblem, stillWorks } from './expect.ts'

failOnLeftovers(t)
const platform = await startPlatform(t)
const [ada, ben] = colleagues('Ada', 'Ben')
const conversation_id = await group(platform, ada, ben)
const foreign = await group(platform, person({ name: 'Stranger' }))
const mine = platform.client(ada)
const { body: message } = await mine.post(`/conversations/${conversation_id}/messages`, { content: 'one' })
const { body: deleted } = await mine.post(`/conversations/${conversation_id}/messages`, { content: 'two' })
await mine.delete(`/messages/${deleted.id}`)
const { body: theirs } = await platform.client(ben).post(`/conversations/${conversation_id}/messages`, { content: 'three' })
const at = `/conversations/${conversation_id}`
const nil = '00000000-0000-0000-0000-000000000000'

type Row = [what: string, ask: () => Promise<Answer<unknown>>, status: number, code: string]
const raw =
  (body: string | Uint8Array, headers: Record<string, string> = {}, path = `${at}/messages`) =>
  () =>
    mine.ask('POST', path, body, headers)
const send = (body: unknown) => () => mine.post(`${at}/messages`, body)
const get = (path: string) => () => mine.get(path)
const create = (body: unknown) => () => mine.post('/conversations', body)
const deep = (open: string, close: string, levels: number) =>
  `{"content":"x","metadata":{"a":${open.repeat(levels)}1${close.repeat(levels)}}}`

/** Input by input, with the answer that it gets. Rows of one group are followed by a send that must succeed. */
const TABLE: Record<string, Row[]> = {
  'text that no database keeps': [
    ['NUL in content', send({ content: 'a\u0000b' }), 400, 'invalid_text'],
    ['an escaped NUL', raw('{"content":"a\\u0000b"}'), 400, 'invalid_text'],
    ['a lone high surrogate', raw('{"content":"a\\ud800"}'), 400, 'invalid_text'],
    ['a lone low surrogate in capitals', raw('{"content":"\\uDC00"}'), 400, 'invalid_text'],
    ['surrogates in the wrong order', raw('{"content":"\\udc00\\ud800"}'), 400, 'invalid_text'],
    ['NUL in client_message_id', send({ content: 'x', client_message_id: 'a\u0000' }), 400, 'invalid_text'],
    ['NUL in a value of metadata', send({ content: 'x', metadata: { a: { b: ['\u0000'] } } }), 400, 'invalid_text'],
    ['a lone surrogate in a key of metadata', raw('{"content":"x","metadata":{"\\ud800":1}}'), 400, 'invalid_text'],
    ['NUL in a title', create({ type: 'group', participant_ids: [], title: '\u0000' }), 400, 'invalid_text'],
    [
      'a lone surrogate in a description',
      raw('{"type":"group","participant_ids":[],"description":"\\udfff"}', {}, '/conversations'),
      400,
      'invalid_text'
    ],
    ['NUL in settings', () => mine.patch('/me', { settings: { a: '\u0000' } }), 400, 'invalid_text'],
    ['NUL in an edit', () => mine.patch(`/messages/${message.id}`, { content: '\u0000' }), 400, 'invalid_text'],
    ['NUL in a query', get('/users?q=%00'), 400, 'invalid_text'],
    ['NUL in the words of a list', get('/conversations?q=a%00b'), 400, 'invalid_text'],
    ['a control character in client_message_id', send({ content: 'x', client_message_id: 'a\u0007' }), 400, 'invalid_request']
  ],
  'bodies that are no JSON of ours': [
    ['no JSON', raw('{"content":'), 400, 'invalid_json'],
    ['two bodies', raw('{"content":"a"}{"content":"b"}'), 400, 'invalid_json'],
    ['single quotes', raw("{'content':'x'}"), 400, 'invalid_json'],
    ['bytes that are not UTF-8', raw(Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d])), 400, 'invalid_json'],
    [
      'a cut UTF-8 sequence',
      raw(Buffer.concat([Buffer.from('{"content":"'), Buffer.from([0xe2, 0x82]), Buffer.from('"}')])),
      400,
      'invalid_json'
    ],
    ['UTF-16', raw(Buffer.from('{"content":"x"}', 'utf16le')), 400, 'invalid_json'],
    ['a list', raw('[]'), 400, 'invalid_request'],
    ['a number', raw('7'), 400, 'invalid_request'],
    ['null', raw('null'), 400, 'invalid_request'],
    ['null where a body may be left out', raw('null', {}, `${at}/read`), 400, 'invalid_request'],
    ['nothing', () => mine.post(`${at}/messages`), 400, 'invalid_request'],
    ['1 MB', raw(`{"content":"${'x'.repeat(1024 ** 2)}"}`), 413, 'too_large'],
    [
      '100,000 keys',
      raw(`{"content":"x","metadata":{${Array.from({ length: 100_000 }, (_, n) => `"k${n}":1`).join(',')}}}`),
      413,
      'too_large'
    ],
    [
      '20,000 keys',
      raw(`{"content":"x","metadata":{${Array.from({ length: 20_000 }, (_, n) => `"${n}":1`).join(',')}}}`),
      400,
      'invalid_request'
    ],
    [
      '20,000 unknown fields',
      raw(`{"content":"x",${Array.from({ length: 20_000 }, (_, n) => `"${n}":1`).join(',')}}`),
      400,
      'unknown_field'
    ],
    ['100,000 levels of lists', raw(deep('[', ']', 100_000)), 400, 'invalid_request'],
    ['40,000 levels of objects', raw(deep('{"a":', '}', 40_000)), 400, 'invalid_request'],
    ['17 levels of metadata', raw(deep('[', ']', 17)), 400, 'invalid_request'],
    ['metadata of 9 KiB', send({ content: 'x', metadata: { a: 'x'.repeat(9_000) } }), 400, 'invalid_request'],
    ['metadata that is a list', send({ content: 'x', metadata: [] }), 400, 'invalid_request'],
    ['settings of 9 KiB', () => mine.patch('/me', { settings: { a: 'x'.repeat(9_000) } }), 400, 'invalid_request'],
    ['a number past all numbers', raw('{"content":"x","metadata":{"n":1e999}}'), 400, 'invalid_request'],
    ['2 to the 63', raw('{"content":"x","metadata":{"n":9223372036854775808}}'), 400, 'invalid_request'],
    ['a seq of 2 to the 63', raw('{"seq":9223372036854775808}', {}, `${at}/read`), 400, 'invalid_request'],
    ['a seq past all numbers', raw('{"seq":1e999}', {}, `${at}/read`), 400, 'invalid_request'],
    ['a seq that is a fraction', raw('{"seq":1.5}', {}, `${at}/read`), 400, 'invalid_request'],
    ['a seq as text', raw('{"seq":"1"}', {}, `${at}/read`), 400, 'invalid_request'],
    ['__proto__', raw('{"content":"x","__proto__":{"a":1}}'), 400, 'unknown_field'],
    ['__proto__ in escapes', raw('{"content":"x","\\u005f_proto__":{"a":1}}'), 400, 'unknown_field'],
    ['__proto__ in metadata', raw('{"content":"x","metadata":{"a":{"__proto__":{}}}}'), 400, 'unknown_field'],
    ['constructor', raw('{"content":"x","constructor":{"prototype":{}}}'), 400, 'unknown_field']
  ],
  'fields that are not the client’s to set': [
    ['a time', send({ content: 'x', created_at: '2020-01-01T00:00:00.000Z' }), 400, 'unknown_field'],
    ['a sender', send({ content: 'x', sender_id: ben.id }), 400, 'unknown_field'],
    ['a user', send({ content: 'x', user_id: ben.id, org_id: ben.org_id }), 400, 'unknown_field'],
    ['a seq', send({ content: 'x', seq: 1 }), 400, 'unknown_field'],
    ['an id', send({ content: 'x', id: randomUUID() }), 400, 'unknown_field'],
    ['another conversation', send({ content: 'x', conversation_id: foreign }), 400, 'unknown_field'],
    ['an actor', () => mine.post(`${at}/read`, { actor: { user_id: ben.id } }), 400, 'unknown_field'],
    ['a role', create({ type: 'group', participant_ids: [], role: 'admin' }), 400, 'unknown_field'],
    ['a type of the server', send({ content: 'x', content_type: 'system' }), 400, 'invalid_request'],
    ['an attachment that is not there', send({ content: 'x', attachments: [randomUUID()] }), 404, 'attachment_not_found'],
    ['six attachments', send({ content: 'x', attachments: Array.from({ length: 6 }, () => randomUUID()) }), 400, 'invalid_request'],
    ['a client_message_id of 65 characters', send({ content: 'x', client_message_id: 'x'.repeat(65) }), 400, 'invalid_request'],
    ['an empty client_message_id', send({ content: 'x', client_message_id: '' }), 400, 'invalid_request']
  ],
  'ids of every kind': [
    ['no UUID', get('/conversations/1'), 400, 'invalid_id'],
    ['SQL', get(`/messages/${encodeURIComponent("1' or '1'='1")}`), 400, 'invalid_id'],
    ['a UUID with a space behind it', get(`/conversations/${conversation_id}%20`), 400, 'invalid_id'],
    ['a UUID in braces', get(`/conversations/%7B${conversation_id}%7D`), 400, 'invalid_id'],
    ['a UUID without hyphens', get(`/conversations/${conversation_id.replaceAll('-', '')}`), 400, 'invalid_id'],
    ['NUL', get('/conversations/%00'), 400, 'invalid_id'],
    ['the nil UUID', get(`/conversations/${nil}`), 404, 'conversation_not_found'],
    ['of another organization', get(`/conversations/${foreign}`), 404, 'conversation_not_found'],
    ['of a message instead', get(`/conversations/${message.id}`), 404, 'conversation_not_found'],
    ['no UUID for a person', get('/users/me'), 400, 'invalid_id'],
    ['no UUID in a body', send({ content: 'x', reply_to_id: 'x' }), 400, 'invalid_request'],
    ['no UUID in a cursor of a sync', () => mine.post('/sync', { cursors: { x: 1 } }), 400, 'unknown_field'],
    [
      '1,001 cursors of a sync',
      () => mine.post('/sync', { cursors: Object.fromEntries(Array.from({ length: 1_001 }, () => [randomUUID(), 0])) }),
      400,
      'invalid_request'
    ]
  ],
  'pages and cursors': [
    ...[
      'limit=0',
      'limit=-1',
      'limit=101',
      'limit=1000000000',
      'limit=1e2',
      'limit=1.5',
      'limit=',
      'limit=abc',
      'page=0',
      'page=-1',
      'page_size=0',
      'page_size=101',
      'limit=99999999999999999999',
      'before=',
      `before=${'1'.repeat(65)}`
    ].map((query): Row => [query.slice(0, 30), get(`${at}/messages?${query}`), 400, 'invalid_request']),
    ...[
      'before=0',
      'before=99',
      'before=x',
      'after=99',
      'after=-1',
      'around=0',
      `before=${randomUUID()}`,
      `around=${randomUUID()}`,
      'before=2026-13-45T00:00:00Z',
      'after=2026-01-01T00:00:00Z',
      'before=9999999999999999'
    ].map((query): Row => [query, get(`${at}/messages?${query}`), 400, 'invalid_cursor']),
    ['two cursors', get(`${at}/messages?before=2&after=1`), 400, 'invalid_request'],
    ['a page beyond all', get('/conversations?page=1000001'), 400, 'invalid_request'],
    ['a page of 51', get('/conversations?page_size=51'), 400, 'invalid_request'],
    ['changes since the future', get(`${at}/changes?since=999999`), 400, 'invalid_cursor'],
    ['changes since a negative version', get(`${at}/changes?since=-1`), 400, 'invalid_request']
  ],
  'queries that are not ours': [
    ['a parameter twice', get(`${at}/messages?limit=1&limit=2`), 400, 'invalid_request'],
    ['an index', get(`${at}/messages?limit[0]=1`), 400, 'unknown_field'],
    ['an object', get(`${at}/messages?limit[a]=1`), 400, 'unknown_field'],
    ['a list', get('/conversations?type[]=group'), 400, 'unknown_field'],
    ['an unknown parameter', get('/conversations?sort=title'), 400, 'unknown_field'],
    ['__proto__', get('/conversations?__proto__=1'), 400, 'unknown_field'],
    ['a type that is none', get('/conversations?type=room'), 400, 'invalid_request'],
    ['words of 10 kB', get(`/users?q=${'x'.repeat(10_000)}`), 400, 'invalid_request'],
    ['a project that is no UUID', get('/conversations?project_id=1'), 400, 'invalid_request']
  ],
  'changes that are not mine to make': [
    ['an edit of someone else’s message', () => mine.patch(`/messages/${theirs.id}`, { content: 'x' }), 403, 'not_the_sender'],
    ['a delete of someone else’s message', () => mine.delete(`/messages/${theirs.id}`), 403, 'not_the_sender'],
    ['an edit of a deleted message', () => mine.patch(`/messages/${deleted.id}`, { content: 'x' }), 409, 'message_deleted'],
    ['a reply to a deleted message', send({ content: 'x', reply_to_id: deleted.id }), 400, 'invalid_reply'],
    ['a reply to nothing', send({ content: 'x', reply_to_id: nil }), 400, 'invalid_reply'],
    ['a conversation with oneself', () => mine.post(`/conversations/dm/${ada.id.toUpperCase()}`), 400, 'self_conversation'],
    ['10,001 people', create({ type: 'group', participant_ids: Array.from({ length: 6_000 }, () => ben.id) }), 400, 'invalid_request']
  ],
  'paths that are none': [
    ['dots', get('/conversations/..%2f..%2fhealth'), 400, 'invalid_id'],
    ['two slashes', () => mine.get('/api/v1//me'), 404, 'not_found'],
    ['a slash behind it', get('/me/'), 404, 'not_found'],
    ['capitals', get('/ME'), 404, 'not_found'],
    ['a file', () => mine.get('/api/../../../../etc/passwd'), 404, 'not_found'],
    ['an encoded file', () => mine.get('/docs/..%2f..%2f..%2fetc%2fpasswd'), 404, 'not_found']
  ]
}
for (const [what, rows] of Object.entries(TABLE)) {
  t.test(`${what} are refused, each with its code, and the platform goes on`, async t => {
    for (const [input, ask, status, code] of rows) isProblem(t, await ask(), status, code, input)
    await stillWorks(t, platform, ada, conversation_id, what)
  })
}

t.test('a path that is not even an address is refused without a fault', async t => {
  for (const path of [
    '/api/v1/conversations/%',
    '/api/v1/conversations/%ff',
    '/api/v1/%zz',
    `/api/v1/conversations/${'x'.repeat(300)}`,
    `/api/v1/users/${'%41'.repeat(2_000)}`
  ]) {
    const answer = await mine.get(path)
    t.ok([400, 404, 414].includes(answer.status), `${path.slice(0, 40)}: ${answer.status}`)
    isProblem(t, answer, answer.status, (answer.body as { code: string }).code, path.slice(0, 40))
  }
})

t.test('a content type that is not JSON is 415, in whichever way it is written, and never an unchecked body', async t => {
  const typed = (type: string, body = '{"content":"x","extra":1}') =>
    mine.ask<{ code: string }>('POST', `${at}/messages`, body, { 'content-type': type })
  for (const type of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/jsonp',
    'text/json',
    'application/json5',
    'application/problem+json',
    'application/xml',
    'json',
    '*/*'
  ]) {
    isProblem(t, await typed(type), 415, 'unsupported_media_type', type)
  }
  for (const type of [
    'application/json',
    'application/json;',
    'application/json; charset=utf-8',
    'application/json ;x=y',
    'APPLICATION/JSON',
    'application/json\t; x',
    'application/json; charset=utf-16'
  ]) {
    const answer = await typed(type)
    t.ok(
      (answer.status === 400 && answer.body.code === 'unknown_field') || answer.status === 415,
      `${JSON.stringify(type)}: ${answer.status} ${answer.body.code}`
    )
  }
  await stillWorks(t, platform, ada, conversation_id, 'content types')
})

const once = async (t: Test, what: string, answers: Promise<Answer<{ id?: string }>>[], allowed: number[]) => {
  for (const { status } of await Promise.all(answers)) t.ok(allowed.includes(status), `${what}: ${status}`)
}

t.test('edits, deletes and sends that meet have one outcome each and never a fault', async t => {
  const other = await group(platform, ada, ben)
  for (let round = 0; round < 10; round++) {
    const { body } = await mine.post(`/conversations/${other}/messages`, { content: 'x' })
    await once(
      t,
      'a meeting',
      [
        mine.patch(`/messages/${body.id}`, { content: 'one' }),
        mine.delete(`/messages/${body.id}`),
        mine.patch(`/messages/${body.id}`, { content: 'two' }),
        mine.delete(`/messages/${body.id}`),
        mine.post(`/conversations/${other}/messages`, { content: 're', reply_to_id: body.id }),
        platform.client(ben).post(`/conversations/${other}/read`)
      ],
      [200, 201, 400, 409]
    )
    t.match((await mine.get(`/messages/${body.id}`)).body, { is_deleted: true, content: '' })
  }
  const { body } = await mine.get(`/conversations/${other}/changes?since=0`)
  const versions = body.messages.map(({ version }: { version: number }) => version)
  t.equal(new Set(versions).size, versions.length, 'no version was given twice')
  t.equal(Math.max(...versions), body.version)
})

t.test('a made-up X-Forwarded-For changes nothing and is no reason for a fault', async t => {
  for (const value of ['127.0.0.1', 'x'.repeat(1_000), Array.from({ length: 1_000 }, () => '10.0.0.1').join(','), "'; drop table users"]) {
    t.equal(
      (await mine.get('/me', { 'x-forwarded-for': value, 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'https' })).status,
      200
    )
  }
})
