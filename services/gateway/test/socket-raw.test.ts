import { CLOSE } from '@parley/contracts'
import { colleagues, failOnLeftovers, startPlatform, until } from '@parley/test-kit'
import t from 'tap'
import { group, stillWorks } from './expect.ts'
import { exchange, frame, openRaw } from './raw.ts'

failOnLeftovers(t)
const platform = await startPlatform(t)
const url = platform.urls[0]!
const [ada, ben] = colleagues('Ada', 'Ben')
const conversation_id = await group(platform, ada, ben)
const open = (scope: Parameters<typeof openRaw>[0], who = ada) => openRaw(scope, url, platform.token(who))
const PING = '{"type":"ping"}'
const memory = async () => {
  const text = await (await fetch(`${platform.gateways[0]!.opsUrl}/metrics`)).text()
  return Number(/^process_resident_memory_bytes(?:\{[^}]*\})? (\S+)/m.exec(text)![1]) / 1024 ** 2
}

const KiB64 = 64 * 1024
/** What breaks the protocol itself, and the code that it is closed with. */
const BROKEN: Record<string, [Buffer | Buffer[], number]> = {
  'an unmasked frame': [frame(PING, { isMasked: false }), 1002],
  'the first reserved bit, which asks for compression': [frame(PING, { rsv: 4 }), 1002],
  'the second reserved bit': [frame(PING, { rsv: 2 }), 1002],
  'the third reserved bit': [frame(PING, { rsv: 1 }), 1002],
  'opcode 3': [frame(PING, { opcode: 3 }), 1002],
  'opcode 11': [frame('', { opcode: 11 }), 1002],
  'a control frame in two parts': [frame('', { opcode: 9, isFinal: false }), 1002],
  'a control frame of 126 bytes': [frame(Buffer.alloc(126), { opcode: 9 }), 1002],
  'a continuation of nothing': [frame(PING, { opcode: 0 }), 1002],
  'a new message inside another': [[frame('{', { isFinal: false }), frame(PING)], 1002],
  'a close with a code that is none': [frame(Buffer.from([0x03, 0xe7]), { opcode: 8 }), 1002],
  'a close of one byte': [frame('x', { opcode: 8 }), 1002],
  'text that is not UTF-8': [frame(Buffer.from([0x22, 0xc3, 0x28, 0x22])), 1007],
  'text with a surrogate in UTF-8': [frame(Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])), 1007],
  'one byte more than 64 KiB': [frame(Buffer.alloc(KiB64 + 1, ' ')), 1009],
  'a length of 2 to the 40': [frame('', { length: 1n << 40n }), 1009],
  'a length of 2 to the 63': [frame('', { length: 1n << 63n }), 1009],
  'one byte more than 64 KiB in two parts': [[frame(Buffer.alloc(KiB64, ' '), { isFinal: false }), frame(' ', { opcode: 0 })], 1009],
  'sixty-five fragments': [
    [frame('{', { isFinal: false }), ...Array.from({ length: 65 }, () => frame(' ', { opcode: 0, isFinal: false }))],
    1008
  ]
}
for (const [what, [bytes, code]] of Object.entries(BROKEN)) {
  t.test(`${what} is closed with ${code}`, async t => {
    const raw = await open(t)
    raw.write(...[bytes].flat())
    t.equal(await raw.closed, code)
  })
}

t.test('what the protocol allows is taken: parts, a control frame between them, 64 KiB exactly', async t => {
  const raw = await open(t)
  raw.write(
    frame('{"type":', { isFinal: false }),
    frame('hi', { opcode: 9 }),
    frame('"pi', { opcode: 0, isFinal: false }),
    frame('ng"}', { opcode: 0 })
  )
  await until(() => raw.texts.includes('{"type":"pong"}'))
  t.equal(raw.pongs, 1)
  const head = `{"type":"send_message","id":"big","conversation_id":"${conversation_id}","content":"`
  raw.write(frame(`${head}${'x'.repeat(KiB64 - head.length - 2)}"}`))
  await until(() => raw.texts.some(text => text.includes('"id":"big"') && text.includes('content_too_long')))
  raw.write(frame(Buffer.from([0x03, 0xe8]), { opcode: 8 }))
  t.equal(await raw.closed, 1000)
})

t.test('messages of thousands of fragments that never end are cut off and cost next to nothing', async t => {
  const before = await memory()
  const fragments = Buffer.concat([
    frame('x', { isFinal: false }),
    ...Array.from({ length: 16_000 }, () => frame('x', { opcode: 0, isFinal: false }))
  ])
  const people = colleagues(...Array.from({ length: 40 }, (_, n) => `Flood ${n}`))
  const sockets = await Promise.all(people.map(who => open(t, who)))
  for (const raw of sockets) raw.write(fragments)

  const codes = await Promise.all(sockets.map(raw => raw.closed))
  // Cut off while it writes on: whether the close frame is still read is up to the network.
  t.ok(
    codes.every(code => code === 1008 || code === undefined),
    `${codes}`
  )
  const grown = (await memory()) - before
  t.ok(grown < 60, `${Math.round(grown)} MiB more`)
  await stillWorks(t, platform, ada, conversation_id, 'the fragments')
})

t.test('a flood of frames is closed with 1008 and others are answered all the while', async t => {
  const [flood, calm] = await Promise.all([open(t), platform.connect(t, ben)])
  const burst = Buffer.concat(Array.from({ length: 2_000 }, () => frame(PING)))
  flood.write(burst)
  calm.send({ type: 'ping' })
  await calm.next('pong')

  const since = Date.now()
  t.equal(await flood.closed, CLOSE.policy.code)
  t.ok(Date.now() - since < 10_000, 'also where it does not answer the close')
  t.ok(flood.texts.length <= 500, `${flood.texts.length} were answered`)
})

t.test('a flood of pings ends the connection before its pongs pile up', async t => {
  const pings = Buffer.concat(Array.from({ length: 1_000 }, () => frame(Buffer.alloc(125), { opcode: 9 })))
  const raw = await open(t)
  raw.socket.pause()
  raw.write(pings)
  raw.socket.resume()
  // Ended without a word: the library allows sixty pongs that are not sent yet.
  t.equal(await raw.closed, undefined)
  t.ok(raw.pongs <= 60, `${raw.pongs} pongs`)
  await stillWorks(t, platform, ada, conversation_id, 'the pings')
})

t.test('of a burst of questions each is answered once, and beyond 256 in hand with a wish to wait', async t => {
  const raw = await open(t)
  const frames = Array.from({ length: 390 }, (_, n) =>
    frame(JSON.stringify({ type: 'send_message', id: `q${n}`, conversation_id, content: `${n}` }))
  )
  raw.write(...frames)
  const answers = () => raw.texts.map(text => JSON.parse(text)).filter(({ id }) => id?.startsWith('q'))
  await until(() => answers().length === 390, { timeoutMs: 10_000 })

  t.equal(new Set(answers().map(({ id }) => id)).size, 390)
  for (const answer of answers()) {
    if (answer.type !== 'ack')
      t.match(answer, { type: 'error', code: 'rate_limited', status: 429, retryable: true, retry_after_ms: Number })
  }
  t.ok(answers().filter(({ type }) => type === 'ack').length >= 256)
})

t.test('an upgrade that is none is refused and the door stays open', async t => {
  const host = new URL(url).host
  const upgrade = (lines: string[]) => `GET /api/v1/ws HTTP/1.1\r\nhost: ${host}\r\n${lines.join('\r\n')}\r\n\r\n`
  const good = ['upgrade: websocket', 'connection: Upgrade', 'sec-websocket-version: 13', 'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==']
  const bad: Record<string, string[]> = {
    'another version': [...good.slice(0, 2), 'sec-websocket-version: 7', good[3]!],
    'no version': [good[0]!, good[1]!, good[3]!],
    'a key that is too short': [...good.slice(0, 3), 'sec-websocket-key: abc'],
    'no key': good.slice(0, 3),
    'another protocol': ['upgrade: h2c', ...good.slice(1)]
  }
  for (const [what, lines] of Object.entries(bad)) {
    const { statuses } = await exchange(url, [upgrade(lines)], { forMs: 500 })
    t.equal(statuses.length, 1, `${what}: one answer`)
    t.ok(statuses[0]! >= 400 && statuses[0]! < 500, `${what}: ${statuses}`)
  }
  const elsewhere = await exchange(url, [upgrade(good).replace('/api/v1/ws', '/api/v1/me')], { forMs: 500 })
  t.ok(
    elsewhere.statuses.every(status => status !== 101),
    `an upgrade elsewhere: ${elsewhere.statuses}`
  )
  const twice = await exchange(url, [upgrade(good) + upgrade(good)], { forMs: 500 })
  t.same(twice.statuses, [101], 'a second upgrade on one connection is a broken frame')
  await stillWorks(t, platform, ada, conversation_id, 'bad upgrades')
})
