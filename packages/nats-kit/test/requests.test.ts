import { randomUUID } from 'node:crypto'
import { AppError, GetHeads, GetUser, type ReplyOf, SendMessages } from '@parley/contracts'
import { failOnLeftovers, until } from '@parley/test-kit'
import t from 'tap'
import { setup } from './setup.ts'

failOnLeftovers(t)

/** What the server says where nobody has subscribed. */
const NO_RESPONDERS = '503'

const actor = { user_id: randomUUID(), org_id: randomUUID(), role: 'member' }
const anyone = { actor, user_id: randomUUID() }
const heads = (n: number): ReplyOf<typeof GetHeads> => ({ versions: [[randomUUID(), n]] })

t.test('an answer and a typed error travel whole; what is no such error tells nothing of itself', async t => {
  const { join } = await setup(t)
  const [owner, asker] = [await join('owner'), await join('asker')]
  owner.bus.serve(GetHeads, async ({ conversation_ids }) => ({ versions: conversation_ids.map((id): [string, number] => [id, 7]) }))
  let failure: Error = new AppError('user_not_found', 'no person 한', {
    errors: [{ path: '/user_id', message: 'is nobody' }],
    retry_after_ms: 5
  })
  owner.bus.serve(GetUser, async () => {
    throw failure
  })
  await owner.bus.flush()

  const id = randomUUID()
  t.same(await asker.bus.request(GetHeads, { conversation_ids: [id] }), { versions: [[id, 7]] })
  await t.rejects(asker.bus.request(GetUser, anyone), {
    name: 'AppError',
    code: 'user_not_found',
    message: 'no person 한',
    status: 404,
    errors: [{ path: '/user_id', message: 'is nobody' }],
    retry_after_ms: 5
  })
  failure = new TypeError('password "secret" is wrong at db.ts:5')
  const told = await asker.bus.request(GetUser, anyone).catch(error => error)
  t.match(told, { code: 'internal', status: 500 })
  t.notMatch(told.message, /secret|db\.ts/)
})

t.test('a request that breaks its contract is refused before its handler runs', async t => {
  const { join } = await setup(t)
  const [owner, asker] = [await join('owner'), await join('asker')]
  let handled = 0
  owner.bus.serve(GetHeads, async () => {
    handled++
    return heads(1)
  })
  await owner.bus.flush()

  await t.rejects(asker.bus.request(GetHeads, { conversation_ids: ['>'] }), {
    code: 'invalid_request',
    errors: [{ path: '/conversation_ids/0' }]
  })
  await t.rejects(asker.bus.relayBytes(GetHeads, Buffer.from('{')), { name: 'AppError' })
  t.equal(handled, 0)
})

t.test('a request that nobody answers is unavailable at once, one that takes too long after its time', async t => {
  const { join } = await setup(t)
  const [owner, asker] = [await join('owner'), await join('asker')]

  let since = Date.now()
  await t.rejects(asker.bus.request(GetUser, anyone), { code: 'unavailable', status: 503, retry_after_ms: 1_000 })
  t.ok(Date.now() - since < 500, 'nobody is there, and nobody is waited for')

  owner.bus.serve(GetHeads, () => new Promise(resolve => setTimeout(() => resolve(heads(1)), 400)))
  await owner.bus.flush()
  since = Date.now()
  await t.rejects(asker.bus.relayBytes({ ...GetHeads, timeoutMs: 150 }, Buffer.from('{"conversation_ids":[]}')), { code: 'unavailable' })
  t.ok(Date.now() - since < 390)
})

t.test('while NATS is away a request is unavailable at once; when it is back everything goes on by itself', async t => {
  const { nats, join } = await setup(t)
  const [owner, asker] = [await join('owner'), await join('asker')]
  owner.bus.serve(GetHeads, async () => heads(1))
  await owner.bus.flush()
  let reconnects = 0
  asker.bus.onReconnect(() => reconnects++)

  await nats.crash()
  await until(() => !asker.bus.isConnected, { what: 'the loss is noticed' })
  const since = Date.now()
  await t.rejects(asker.bus.request(GetHeads, { conversation_ids: [] }), { code: 'unavailable' })
  t.ok(Date.now() - since < 200)

  await nats.start()
  await until(() => asker.bus.isConnected && owner.bus.isConnected, { what: 'both are back' })
  t.equal(reconnects, 1)
  const { versions } = await until(() => asker.bus.request(GetHeads, { conversation_ids: [] }), { what: 'the owner answers again' })
  t.equal(versions.length, 1)
})

t.test('a request above what the server takes is too large, and the connection stays', async t => {
  const { join } = await setup(t)
  const [owner, asker] = [await join('owner'), await join('asker')]
  owner.bus.serveBytes(SendMessages, async data => `${data.byteLength}`)
  await owner.bus.flush()
  await t.rejects(asker.bus.relayBytes(SendMessages, Buffer.alloc(asker.bus.maxPayload + 1)), { code: 'too_large', status: 413 })
  t.equal(Buffer.from(await asker.bus.relayBytes(SendMessages, Buffer.alloc(1_000_000))).toString(), '1000000')
})

t.test('an answer above what the server takes is a typed error, not silence', async t => {
  const { join } = await setup(t)
  const [owner, asker] = [await join('owner'), await join('asker')]
  owner.bus.serveBytes(SendMessages, async () => Buffer.alloc(owner.bus.maxPayload + 1))
  await owner.bus.flush()
  const since = Date.now()
  await t.rejects(asker.bus.relayBytes(SendMessages, Buffer.from('{}')), { name: 'AppError', code: 'internal' })
  t.ok(Date.now() - since < 1_000)
})

t.test('of several processes of a service one answers each request', async t => {
  const { join } = await setup(t)
  const asker = await join('asker')
  const answered = [0, 0]
  for (const n of [0, 1]) {
    const { bus } = await join('owner')
    bus.serve(GetHeads, async () => {
      answered[n]!++
      return heads(n)
    })
    await bus.flush()
  }
  await Promise.all(Array.from({ length: 100 }, () => asker.bus.request(GetHeads, { conversation_ids: [] })))
  t.equal(answered[0]! + answered[1]!, 100)
  t.ok(
    answered.every(count => count > 0),
    `they shared the work: ${answered.join(' and ')}`
  )
})

t.test('a stop with 40 requests in hand answers all 40, and takes no new ones', async t => {
  const { join } = await setup(t)
  const [owner, asker] = [await join('owner'), await join('asker')]
  let inHand = 0
  let go = () => {}
  const gate = new Promise<void>(resolve => (go = resolve))
  owner.bus.serve(GetHeads, async ({ conversation_ids }) => {
    inHand++
    await gate
    return { versions: conversation_ids.map((id): [string, number] => [id, 1]) }
  })
  await owner.bus.flush()
  const patient = { ...GetHeads, timeoutMs: 10_000 }
  const answers = Array.from({ length: 40 }, () => asker.bus.request(patient, { conversation_ids: [randomUUID()] }))
  await until(() => inHand === 40, { what: 'all are in hand' })

  const closed = owner.app.close()
  const finds = (): Promise<string> =>
    asker.bus.request({ ...GetHeads, timeoutMs: 100 }, { conversation_ids: [] }).then(
      () => 'an answer',
      error => error.cause?.code
    )
  await until(async () => (await finds()) === NO_RESPONDERS, { what: 'a new request finds nobody' })
  const taken = inHand
  go()

  t.equal((await Promise.all(answers)).filter(({ versions }) => versions.length === 1).length, 40)
  await closed
  t.equal(inHand, taken)
})
