import { once } from 'node:events'
import { colleagues, failOnLeftovers, Ledger, startPlatform, until } from '@parley/test-kit'
import t from 'tap'
import { textFrame } from '../src/socket/frame.ts'
import { group } from './expect.ts'
import { openPair } from './pair.ts'

failOnLeftovers(t)

t.test(
  'readers that stop reading are closed with 4010 at a bounded cost, while another in the same conversation gets everything',
  async t => {
    const platform = await startPlatform(t)
    const [ada, ben, ...slow] = colleagues('Ada', 'Ben', ...Array.from({ length: 6 }, (_, n) => `Slow ${n}`))
    const conversation_id = await group(platform, ada, ben, ...slow)
    const memory = async () => {
      const text = await (await fetch(`${platform.gateways[0]!.opsUrl}/metrics`)).text()
      return Number(/^process_resident_memory_bytes(?:\{[^}]*\})? (\S+)/m.exec(text)![1]) / 1024 ** 2
    }
    const writer = await platform.connect(t, ada)
    const steady = await platform.connect(t, ben)
    const paused = await Promise.all(slow.map(who => platform.connect(t, who)))
    const before = await memory()
    for (const socket of paused) socket.pause()

    // 20 kB each: far more than the network between them takes before its buffers are full.
    const COUNT = 900
    let peak = 0
    for (let n = 0; n < COUNT; n += 50) {
      for (let m = 0; m < 50; m++) writer.send({ type: 'send_message', conversation_id, content: '\u{1f600}'.repeat(5_000) })
      await until(() => steady.frames.filter(({ type }) => type === 'new_message').length === n + 50, {
        timeoutMs: 20_000,
        what: `${n + 50} came`
      })
      peak = Math.max(peak, await memory())
    }

    // Unbounded they would hold 18 MB each.
    t.ok(peak - before < 100, `${Math.round(peak - before)} MiB more at its peak`)
    for (const socket of paused) socket.resume()
    const codes = (await Promise.all(paused.map(({ closed }) => closed))).map(({ code }) => code)
    t.ok(
      codes.every(code => code === 4010 || code === 1006),
      `${codes}`
    )
    const ledger = new Ledger()
    for (const frame of steady.frames) ledger.take(frame)
    t.same(ledger.faults, [])

    const back = await platform.connect(t, slow[0]!)
    t.match(await back.ask({ type: 'resume', cursors: { [conversation_id]: 1 } }, 30_000), { type: 'resumed', complete: true })
    const got = new Set(
      back.frames.filter(({ type }) => type === 'sync').flatMap(({ messages }) => messages.map(({ id }: { id: string }) => id))
    )
    t.equal(got.size, COUNT, 'and whoever was too slow resumes with nothing lost')
  }
)

t.test('a reader that is behind and then reads on hears 4010 after all that was sent before', async t => {
  const { connection, client } = await openPair(t)
  client.pause()
  let sent = 0
  while (connection.isOpen) {
    connection.write(textFrame('x'.repeat(256 * 1024)))
    connection.putOut()
    if (connection.isOpen) sent++
    await new Promise(resolve => setImmediate(resolve))
  }
  let received = 0
  client.on('message', () => received++)
  client.resume()

  const [code, reason] = await once(client, 'close')
  t.same([code, `${reason}`], [4010, 'too slow'])
  t.equal(received, sent)
})

t.test('a reader that takes nothing for ten seconds is stuck, one that takes a little is not', async t => {
  const { connection, client } = await openPair(t)
  t.equal(connection.isStuck(99_998), false)
  t.equal(connection.isStuck(99_999), false, 'nothing waits')

  client.pause()
  connection.write(textFrame('x'.repeat(32 * 1024 ** 2)))
  connection.putOut()
  t.equal(connection.isStuck(100_000), false)
  t.equal(connection.isStuck(109_998), false)
  t.equal(connection.isStuck(110_000), true)
  client.resume()
  await once(client, 'message').catch(() => {})
  t.equal(connection.isStuck(110_001), false, 'it reads again')
})
