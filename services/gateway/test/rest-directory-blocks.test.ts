import { randomUUID } from 'node:crypto'
import { ROUTES } from '@parley/contracts'
import { client, colleagues, failOnLeftovers, person, startPlatform } from '@parley/test-kit'
import t from 'tap'
import { fits, isProblem, known } from './expect.ts'

failOnLeftovers(t)
const platform = await startPlatform(t)
const [ada, ben, cleo, dan, eve] = colleagues('Ada', 'Ben', 'Cleo', 'Dan', 'Eve')
const stranger = person({ name: 'Stranger' })
await known(platform, ada, ben, cleo, dan, eve, stranger)
const as = platform.client
const blocked = async (who: typeof ada) => (await as(who).get('/me/blocks')).body.users.map((user: { id: string }) => user.id)

t.test('whom I block is in my list, the latest first, once however often, and in nobody else’s', async t => {
  for (const other of [ben, cleo, ben]) {
    const { status, body } = await as(ada).put(`/users/${other.id.toUpperCase()}/block`)
    t.same([status, body], [204, ''])
  }
  const answer = await as(ada).get('/me/blocks')
  fits(t, answer, 200, ROUTES.listBlocks.replies[200])
  t.same(await blocked(ada), [cleo.id, ben.id])
  t.same(await blocked(ben), [])
  t.same(
    (await as(ada).get('/users?q=ben')).body.users.map((user: { id: string }) => user.id),
    [ben.id],
    'they are found all the same'
  )
  for (const n of [1, 2]) t.equal((await as(ada).delete(`/users/${cleo.id}/block`)).status, 204, `time ${n}`)
  t.same(await blocked(ada), [ben.id])
  await as(ada).delete(`/users/${ben.id}/block`)
})

t.test('between two of whom one blocked the other no direct conversation begins, whichever of them asks and how', async t => {
  await as(ada).put(`/users/${dan.id}/block`)
  for (const [who, other] of [
    [ada, dan],
    [dan, ada]
  ] as const) {
    isProblem(t, await as(who).post(`/conversations/dm/${other.id}`), 403, 'blocked')
    isProblem(t, await as(who).post('/conversations', { type: 'direct', participant_ids: [other.id] }), 403, 'blocked')
    isProblem(t, await as(who).post('/messages', { recipient_id: other.id, content: 'hello' }), 403, 'blocked')
    t.same((await as(who).get('/conversations')).body.conversations, [], 'none was made')
  }
  t.equal((await as(ada).post('/conversations', { type: 'group', participant_ids: [dan.id] })).status, 201, 'a group is another matter')
  await as(ada).delete(`/users/${dan.id}/block`)
  t.equal((await as(dan).post(`/conversations/dm/${ada.id}`)).status, 201, 'and begins once it is lifted')
})

t.test('a direct conversation that stands is still given to both', async t => {
  const { body } = await as(ada).post(`/conversations/dm/${eve.id}`)
  await as(eve).put(`/users/${ada.id}/block`)
  for (const [who, other] of [
    [ada, eve],
    [eve, ada]
  ] as const) {
    const again = await as(who).post(`/conversations/dm/${other.id}`)
    t.same([again.status, again.body.id], [200, body.id])
  }
})

t.test('who blocks themselves, nobody or a stranger is refused, and so is who has no token', async t => {
  for (const method of ['PUT', 'DELETE'] as const) {
    isProblem(t, await as(ben).ask(method, `/users/${ben.id}/block`), 400, 'self_conversation', method)
    isProblem(t, await as(ben).ask(method, `/users/${ben.id.toUpperCase()}/block`), 400, 'self_conversation', method)
    isProblem(t, await as(ben).ask(method, `/users/${randomUUID()}/block`), 404, 'user_not_found', method)
    isProblem(t, await as(ben).ask(method, `/users/${stranger.id}/block`), 404, 'user_not_found', `${method} of another organization`)
    isProblem(t, await as(ben).ask(method, '/users/ada/block'), 400, 'invalid_id', method)
    isProblem(t, await client(platform.urls[0]!).ask(method, `/users/${ada.id}/block`), 401, 'unauthenticated', method)
  }
  isProblem(t, await client(platform.urls[0]!).get('/me/blocks'), 401, 'unauthenticated')
  t.same(await blocked(ben), [])
})

t.test('a thousand may be blocked and no more', async t => {
  const extra = randomUUID()
  await platform.database.query(
    `insert into messaging.users (org_id, id, username, display_name) select $1, gen_random_uuid(), 'u' || n, 'U' || n from generate_series(1, 1000) n`,
    [cleo.org_id]
  )
  await platform.database.query(`insert into messaging.users (org_id, id, username, display_name) values ($1, $2, 'x', 'X')`, [
    cleo.org_id,
    extra
  ])
  await platform.database.query(
    `insert into messaging.blocks (org_id, blocker_id, blocked_id) select org_id, $2, id from messaging.users where org_id = $1 and username like 'u%'`,
    [cleo.org_id, cleo.id]
  )
  isProblem(t, await as(cleo).put(`/users/${extra}/block`), 409, 'blocks_full')
  const list = await as(cleo).get('/me/blocks')
  fits(t, list, 200, ROUTES.listBlocks.replies[200])
  t.equal(list.body.users.length, 1_000)
  t.equal((await as(cleo).put(`/users/${list.body.users[0].id}/block`)).status, 204, 'who is blocked already stays so')
  await as(cleo).delete(`/users/${list.body.users[0].id}/block`)
  t.equal((await as(cleo).put(`/users/${extra}/block`)).status, 204)
})
