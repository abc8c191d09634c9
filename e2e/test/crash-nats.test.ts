import { randomUUID } from 'node:crypto'
import { failOnLeftovers, startPlatform, until } from '@parley/test-kit'
import t from 'tap'
import { isWhole } from '../src/history.ts'
import { startLoad } from '../src/load.ts'

failOnLeftovers(t)

t.test('while NATS is away sends answer 503 at once, and once it is back everything goes on where it was', async t => {
  const platform = await startPlatform(t, { gateways: 2, stores: 2 })
  const load = await startLoad(t, platform)
  const [ada, ben] = load.people
  const connected = await platform.connect(t, ben!, { gateway: 1 })
  for (let n = 0; n < 3; n++) {
    await load.more(20)
    await platform.nats.crash()
    // The first may have been on its way when NATS went; from then on nobody waits.
    const path = `/conversations/${load.conversation_id}/messages`
    await until(async () => (await platform.client(ada!).get('/me')).status === 503)
    const since = Date.now()
    const refused = await platform.client(ada!).post(path, { content: 'never' })
    t.match(refused, { status: 503, body: { code: 'unavailable', retry_after_ms: Number } })
    t.ok(Number(refused.headers.get('retry-after')) >= 1)
    t.ok(Date.now() - since < 500, `after ${Date.now() - since} ms`)
    const frame = await connected.ask({ type: 'send_message', conversation_id: load.conversation_id, content: 'never' })
    t.match(frame, { type: 'error', code: 'unavailable', status: 503, retryable: true }, 'a socket stays and is told the same')
    await platform.nats.start()
  }
  await load.more(20)
  // What is new is heard of again by who was connected all the time.
  const { body } = await platform.client(ada!).post('/conversations', { type: 'group', participant_ids: [ben!.id] })
  await connected.next(f => f.type === 'conversation_added' && f.conversation_id === body.id, 15_000)
  await load.stop()

  t.ok(
    load.readers.every(({ closes }) => closes.length === 0),
    'sockets were not closed'
  )
  await isWhole(t, platform, load.conversation_id, load.history, load.readers)
})

t.test('what NATS took with it when it died is found again as soon as a store answers, on the sockets that stand', async t => {
  const platform = await startPlatform(t)
  const load = await startLoad(t, platform, { writers: 2, pauseMs: 50 })
  const [ada, ben] = load.people
  const connected = await platform.connect(t, ben!)
  await load.more(5)
  await load.stop()
  const added = randomUUID()
  const id = randomUUID()

  platform.stores[0]!.kill('SIGKILL')
  await platform.nats.crash()
  // Committed and acknowledged by NATS, which never passed it on.
  await platform.database.query(
    `select * from messaging.send_batch(gen_random_uuid(), now(), array[$1]::uuid[], array[$2]::uuid[], array[$3]::uuid[], array[$4]::uuid[],
       array['lost']::text[], array['lost']::text[], array['text']::text[], array[null]::uuid[], array[null]::text[], array[]::uuid[])`,
    [ada!.org_id, load.conversation_id, ada!.id, id]
  )
  load.history.begun.set('lost', 'lost')
  await platform.database.query(
    `insert into messaging.conversations (id, org_id, type, created_by, participant_count, created_at, updated_at) values ($1, $2, 'group', $3, 2, now(), now())`,
    [added, ada!.org_id, ada!.id]
  )
  await platform.database.query(
    'insert into messaging.participants (conversation_id, user_id, org_id, joined_at) select $1, unnest($2::uuid[]), $3, now()',
    [added, [ada!.id, ben!.id], ada!.org_id]
  )
  await platform.database.query('delete from messaging.outbox_batches')
  await platform.nats.start()
  await until(async () => (await platform.client(ada!).get('/health/ready')).body.dependencies.nats === 'up', { timeoutMs: 15_000 })
  // The first questions of the gateway have been in vain by now.
  await until(async () => (await platform.gateways[0]!.log()).includes('nats reconnected'))
  await platform.stores[0]!.start()

  t.match(await connected.next(f => f.type === 'conversation_added' && f.conversation_id === added, 10_000), {
    conversation: { id: added }
  })
  await isWhole(t, platform, load.conversation_id, load.history, load.readers)
})
