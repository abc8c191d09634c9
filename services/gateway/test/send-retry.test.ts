import { randomUUID } from 'node:crypto'
import { colleagues, failOnLeftovers, Ledger, startPlatform, until } from '@parley/test-kit'
import t from 'tap'
import { group } from './expect.ts'

failOnLeftovers(t)

for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
  t.test(`a store of two that ends by ${signal} under load costs no client an error, and each its order`, async t => {
    const platform = await startPlatform(t, { stores: 2 })
    const [ada, ben, cleo] = colleagues('Ada', 'Ben', 'Cleo')
    const conversation_id = await group(platform, ada, ben, cleo)
    const sockets = await Promise.all([ada, ben].map(who => platform.connect(t, who)))
    const mine = platform.client(cleo)
    const bad: unknown[] = []
    let isOver = false
    let acked = 0

    const bySocket = sockets.map(async (socket, index) => {
      for (let n = 0; !isOver; n += 3) {
        const asks = [n, n + 1, n + 2].map(m =>
          socket.ask({ type: 'send_message', conversation_id, content: `${index} ${m}`, client_message_id: randomUUID() }, 20_000)
        )
        for (const answer of await Promise.all(asks)) {
          if (answer.type === 'ack') acked++
          else bad.push(answer)
        }
      }
    })
    const byRest = (async () => {
      while (!isOver) {
        const { status, body } = await mine.post(`/conversations/${conversation_id}/messages`, {
          content: 'r',
          client_message_id: randomUUID()
        })
        if (status === 201 || status === 200) acked++
        else bad.push(body)
      }
    })()
    const soon = async (more: number) => {
      const from = acked
      await until(() => acked >= from + more, { timeoutMs: 30_000, what: `${more} more` })
    }
    await soon(30)
    const [store] = platform.stores
    store!.kill(signal)
    await store!.exited
    await soon(60)
    isOver = true
    await Promise.all([...bySocket, byRest])

    t.same(bad, [])
    const { body } = await mine.get(`/conversations/${conversation_id}`)
    t.equal(body.last_seq, acked, 'each is there once')
    const ledger = new Ledger()
    await until(() => sockets[0]!.frames.some(({ version }) => version === 1 + acked), { what: 'the last one has come' })
    for (const frame of sockets[0]!.frames) ledger.take(frame)
    t.same(ledger.faults, [])
    const contents = ledger.messages(conversation_id).map(({ content }) => content)
    for (const index of [0, 1]) {
      const numbers = contents.filter(content => content.startsWith(`${index} `)).map(content => Number(content.slice(2)))
      t.same(numbers, [...numbers.keys()], 'in the order of who sent them')
    }
  })
}

t.test('a send that would be stored twice is not asked twice: it is refused, to be tried again', async t => {
  const platform = await startPlatform(t)
  const [ada, ben] = colleagues('Ada', 'Ben')
  const conversation_id = await group(platform, ada, ben)
  const socket = await platform.connect(t, ada)
  platform.stores[0]!.kill('SIGSTOP')
  const [without, another] = [1, 2].map(n => socket.ask({ type: 'send_message', conversation_id, content: `${n}` }, 20_000))
  t.match(await without, { type: 'error', code: 'unavailable', retryable: true, retry_after_ms: Number })
  t.match(await another, { type: 'error', code: 'unavailable', retryable: true })
  const withKey = socket.ask({ type: 'send_message', conversation_id, content: 'once', client_message_id: randomUUID() }, 20_000)
  const metrics = async () => await (await fetch(`${platform.gateways[0]!.opsUrl}/metrics`)).text()
  await until(async () => /^parley_sends_retried_total(?:\{[^}]*\})? 1$/m.test(await metrics()))
  platform.stores[0]!.kill('SIGCONT')
  t.match(await withKey, { type: 'ack', message: { content: 'once' } })
  const { body } = await platform.client(ada).get(`/conversations/${conversation_id}/messages`)
  t.equal(body.messages.filter(({ content }: { content: string }) => content === 'once').length, 1)
})
