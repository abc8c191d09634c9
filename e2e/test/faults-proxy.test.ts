import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { failOnLeftovers, type Scope, until } from '@parley/test-kit'
import t from 'tap'
import { frameDropper } from '../faults/controls/drop-frames.ts'
import { type Link, startLink } from '../faults/proxy.ts'
import { Random } from '../faults/random.ts'

failOnLeftovers(t)

/** A server that says back what it hears, with a link in front of it. */
async function setup(t: Scope) {
  const heard: Buffer[] = []
  const peers = new Set<Socket>()
  const server = createServer(socket => {
    peers.add(socket)
    socket.on('error', () => {})
    socket.on('data', piece => {
      heard.push(piece)
      socket.write(piece)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(async () => {
    for (const peer of peers) peer.destroy()
    server.close()
    await once(server, 'close')
  })
  const link = await startLink(t, `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`, new Random(7))
  return { link, heard: () => Buffer.concat(heard), pieces: heard, peers }
}

async function client(t: Scope, link: Link) {
  const socket = connect(Number(new URL(link.url).port), '127.0.0.1')
  const heard: Buffer[] = []
  let end: string | undefined
  socket.on('data', piece => heard.push(piece))
  socket.on('error', error => {
    end = (error as NodeJS.ErrnoException).code
  })
  socket.on('close', () => {
    end ??= 'closed'
  })
  t.teardown(() => socket.destroy())
  // A refusal may be faster than the connection.
  await once(socket, 'connect').catch(() => {})
  return { socket, heard: () => Buffer.concat(heard), text: () => Buffer.concat(heard).toString(), end: () => end }
}

t.test('a link that is good passes bytes both ways, and the end of a connection too', async t => {
  const { link, heard, peers } = await setup(t)
  const { socket, text, end } = await client(t, link)
  socket.write('hello')
  await until(() => text() === 'hello')
  const large = Buffer.alloc(3_000_000, 'x')
  socket.write(large)
  await until(() => text().length === 5 + large.length)
  t.equal(heard().length, 5 + large.length)
  t.equal(link.size, 1)
  socket.end()
  await until(() => end() === 'closed')
  await until(() => link.size === 0)
  t.equal(peers.size, 1)
})

t.test('latency holds each piece back, keeps the order, and may be changed while the connection stands', async t => {
  const { link } = await setup(t)
  const { socket, text } = await client(t, link)
  link.both({ latencyMs: 100, jitterMs: 50 })
  const since = performance.now()
  for (let n = 0; n < 10; n++) {
    socket.write(`${n}`)
    await new Promise(resolve => setTimeout(resolve, 5))
  }
  await until(() => text().length === 10)
  t.equal(text(), '0123456789')
  t.ok(performance.now() - since >= 95, `after ${performance.now() - since} ms, two ways of at least 50`)
  link.heal()
  socket.write('!')
  await until(() => text().endsWith('!'))
})

t.test('a bandwidth is kept', async t => {
  const { link } = await setup(t)
  const { socket, text } = await client(t, link)
  link.toxics.up = { bytesPerSecond: 20_000, sliceBytes: 500 }
  const since = performance.now()
  socket.write('x'.repeat(10_000))
  await until(() => text().length === 10_000)
  const tookMs = performance.now() - since
  t.ok(tookMs >= 450, `10,000 bytes at 20,000 a second took ${Math.round(tookMs)} ms`)
})

t.test('slices cut what was written together into pieces', async t => {
  const { link } = await setup(t)
  const { socket, text } = await client(t, link)
  const pieces: number[] = []
  link.toxics.up = {
    sliceBytes: 3,
    transform: () => piece => {
      pieces.push(piece.length)
      return piece
    }
  }
  socket.write('abcdefgh')
  await until(() => text() === 'abcdefgh')
  t.same(pieces, [3, 3, 2])
})

t.test('silence swallows what is sent in one direction, and says nothing: not even that the connection ends', async t => {
  const { link, heard } = await setup(t)
  const { socket, text, end } = await client(t, link)
  socket.write('a')
  await until(() => text() === 'a')
  link.toxics.down = { isSilent: true }
  socket.write('b')
  await until(() => heard().toString() === 'ab')
  link.toxics.up = { isSilent: true }
  socket.write('c')
  await new Promise(resolve => setTimeout(resolve, 100))
  t.equal(heard().toString(), 'ab', 'half-open: nothing arrives')
  t.equal(text(), 'a')
  t.equal(end(), undefined)
  link.heal()
  socket.write('d')
  await until(() => text() === 'ad')
})

t.test('a deaf link takes connections and never says anything; a refusing one ends them at once', async t => {
  const { link, heard } = await setup(t)
  link.isDeaf = true
  const deaf = await client(t, link)
  deaf.socket.write('a')
  await new Promise(resolve => setTimeout(resolve, 50))
  t.equal(heard().length, 0)
  t.equal(deaf.end(), undefined)
  link.heal()
  link.isRefusing = true
  const refused = await client(t, link)
  await until(() => refused.end() !== undefined)
  link.heal()
  const taken = await client(t, link)
  taken.socket.write('b')
  await until(() => taken.text() === 'b')
})

t.test('connections are reset: all of them, by chance, or after so many bytes', async t => {
  const { link } = await setup(t)
  const first = await client(t, link)
  first.socket.write('a')
  await until(() => first.text() === 'a')
  link.reset()
  await until(() => first.end() === 'ECONNRESET')

  const second = await client(t, link)
  link.toxics.up = { resetAfterBytes: 100, sliceBytes: 10 }
  second.socket.write('x'.repeat(1_000))
  await until(() => second.end() !== undefined)
  t.ok(second.text().length <= 100, `${second.text().length} bytes came back`)

  link.toxics.up = { resetChance: 0.2 }
  const third = await client(t, link)
  let writes = 0
  await until(() => {
    third.socket.write('x')
    writes++
    return third.end() !== undefined
  })
  t.ok(writes >= 1)
  t.equal(link.counts.resets, 2)
})

t.test('bits are flipped, one in a piece, and the length stays', async t => {
  const { link } = await setup(t)
  const { socket, heard } = await client(t, link)
  link.toxics.up = { flipChance: 1 }
  socket.write(Buffer.alloc(64))
  await until(() => heard().length === 64)
  const ones = [...heard()].reduce((sum, byte) => sum + byte.toString(2).replaceAll('0', '').length, 0)
  t.equal(ones, link.counts.flips, 'as many bits as pieces')
  t.ok(ones >= 1)
})

t.test('a connection is cut where a text passes: before it, or right after', async t => {
  const { link, heard } = await setup(t)
  const before = await client(t, link)
  link.toxics.down = { cutAt: { marker: 'COMMIT', when: 'before' } }
  before.socket.write('one ')
  await until(() => before.text() === 'one ')
  before.socket.write('COM')
  await until(() => before.text() === 'one COM')
  before.socket.write('MIT')
  await until(() => before.end() !== undefined)
  t.equal(before.text(), 'one COM', 'a text that comes in two pieces is seen')
  t.equal(heard().toString(), 'one COMMIT', 'it had arrived')

  const after = await client(t, link)
  link.toxics.down = { cutAt: { marker: 'COMMIT', when: 'after' } }
  after.socket.write('COMMIT')
  await until(() => after.end() !== undefined)
  t.equal(after.text(), 'COMMIT')
  t.equal(link.counts.cuts, 2)
})

t.test('a dropper swallows one frame in so many, whatever pieces they come in', async t => {
  const frame = (text: string) => {
    const body = Buffer.from(text)
    const head = body.length < 126 ? Buffer.from([0x81, body.length]) : Buffer.from([0x81, 126, body.length >> 8, body.length & 0xff])
    return Buffer.concat([head, body])
  }
  const upgrade = Buffer.from('HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n')
  const messages = Array.from({ length: 9 }, (_, n) => frame(`{"type":"new_message","n":${n},"x":"${'y'.repeat(n * 40)}"}`))
  const bytes = Buffer.concat([upgrade, frame('{"type":"ready"}'), ...messages])
  for (const size of [1, 7, 64, 10_000]) {
    const drop = frameDropper('{"type":"new_message"', 3)()
    const passed: Buffer[] = []
    for (let from = 0; from < bytes.length; from += size) {
      const piece = drop(bytes.subarray(from, from + size))
      if (piece) passed.push(piece)
    }
    const text = Buffer.concat(passed).toString('latin1')
    const left = [...text.matchAll(/"n":(\d)/g)].map(([, n]) => Number(n))
    t.same(left, [0, 1, 3, 4, 6, 7], `in pieces of ${size}`)
    t.match(text, '"ready"')
  }
  const plain = frameDropper('{"type":"new_message"', 1)()
  t.equal(String(plain(Buffer.from('HTTP/1.1 200 OK\r\n\r\n{"type":"new_message"}'))).endsWith('{"type":"new_message"}'), true)
})
