import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { natsKit } from '@parley/nats-kit'
import { COUNT_STATEMENTS, colleagues, failOnLeftovers, openSocket, startPlatform, temporaryFolder, until } from '@parley/test-kit'
import Fastify from 'fastify'
import t from 'tap'
import { known } from './expect.ts'

failOnLeftovers(t)

const statements = join(await temporaryFolder(t, 'statements'), 'count')
await writeFile(statements, '')
const platform = await startPlatform(t, { env: { NODE_OPTIONS: COUNT_STATEMENTS, PARLEY_TEST_STATEMENTS: statements, SEARCH_INDEX: '0' } })
const app = Fastify()
await app.register(natsKit, { url: platform.nats.url, service: 'test' })
t.teardown(() => app.close())
const asked: string[] = []
app.bus.subscribe('req.>', ({ subject }) => asked.push(subject))
await app.bus.flush()

/** Conversations of two people, all at version 1 but for one that is at 2. */
async function conversationsOf(count: number) {
  const [ada, ben] = colleagues('Ada', 'Ben')
  await known(platform, ada, ben)
  const rows = await platform.database.query<{ id: string }>(
    `with c as (
       insert into messaging.conversations (id, org_id, type, created_by, created_at, updated_at, participant_count)
       select gen_random_uuid(), $1, 'group', $2, now(), now(), 2 from generate_series(1, $4) returning id
     ), p as (
       insert into messaging.participants (conversation_id, user_id, org_id, joined_at)
       select c.id, u.id, $1, now() from c, unnest(array[$2, $3]::uuid[]) as u (id)
     ) select id from c`,
    [ada.org_id, ada.id, ben.id, count]
  )
  const ids = rows.map(({ id }) => id)
  await platform.client(ada).post(`/conversations/${ids[0]}/messages`, { content: 'new' })
  return { ben, ids }
}

/** What a question costs; the work that the store does by itself now and then is not in it. */
async function costOf(work: () => Promise<unknown>) {
  const read = async () => (await readFile(statements)).length
  let cost: { requests: string[]; statements: number } | undefined
  // The least of a few: what the store did meanwhile on its own is more, never less.
  for (let n = 0; n < 4; n++) {
    await until(async () => {
      const before = await read()
      await new Promise(resolve => setTimeout(resolve, 30))
      return before === (await read())
    })
    asked.length = 0
    const before = await read()
    await work()
    await app.bus.flush()
    const statements = (await read()) - before
    if (!cost || statements < cost.statements) cost = { requests: [...asked], statements }
  }
  return cost!
}

t.test('a resume of one conversation, a hundred or a thousand asks the same number of questions', async t => {
  const costs: unknown[] = []
  for (const count of [1, 100, 1_000]) {
    const { ben, ids } = await conversationsOf(count)
    const socket = await platform.connect(t, ben)
    const cursors = Object.fromEntries(ids.map(id => [id, 1]))
    costs.push(
      await costOf(async () => t.match(await socket.ask({ type: 'resume', cursors }, 20_000), { type: 'resumed', complete: true }))
    )
    t.match(await socket.next('sync'), { conversation_id: ids[0], version: 2, messages: [{ content: 'new' }] })
    await socket.close()
  }
  t.same(costs[1], costs[0], JSON.stringify(costs))
  t.same(costs[2], costs[0])
})

t.test('a person in two thousand conversations comes in with as many questions as one in ten, also twenty times at once', async t => {
  const costs: { requests: string[] }[] = []
  for (const count of [10, 1_000, 2_000]) {
    const { ben, ids } = await conversationsOf(count)
    const { requests } = await costOf(async () => {
      const socket = await platform.connect(t, ben)
      t.equal((await socket.ready).conversations.length, count)
      await socket.close()
      await until(async () =>
        /^parley_sockets(?:\{[^}]*\})? 0$/m.test(await (await fetch(`${platform.gateways[0]!.opsUrl}/metrics`)).text())
      )
    })
    costs.push({ requests })
    if (count < 2_000) continue
    asked.length = 0
    const sockets = Array.from({ length: 20 }, () => openSocket(platform.urls[0]!, platform.token(ben), { how: 'header' }))
    for (const socket of sockets) t.equal((await socket.ready).conversations.length, count)
    t.ok(asked.length < 20, `${asked.length} questions for 20 sockets`)
    await platform.client(ben).post(`/conversations/${ids[count - 1]}/messages`, { content: 'live' })
    for (const socket of sockets) t.match(await socket.next('new_message'), { conversation_id: ids[count - 1], version: 2 })
    for (const socket of sockets) socket.kill()
  }
  t.same(costs[1], costs[0], JSON.stringify(costs))
  t.same(costs[2], costs[0])
})
