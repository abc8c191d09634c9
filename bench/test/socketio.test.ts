import { randomUUID } from 'node:crypto'
import { failOnLeftovers, freshDatabase, person, signToken, startTestRedis, until } from '@parley/test-kit'
import pg from 'pg'
import t, { type Test } from 'tap'
import { Crowd } from '../src/load/crowd.ts'
import { startBaseline } from '../src/servers.ts'
import { verifyBaseline } from '../src/verify.ts'

failOnLeftovers(t)

const SECRET = 'a-secret-of-the-test-alone-0123456789'

/** The baseline itself with a database and a Redis, and three people in a conversation. */
async function setup(t: Test) {
  const { url: DATABASE_URL } = await freshDatabase(t)
  const redis = await startTestRedis(t)
  const { url } = await startBaseline(t, 'socketio', { DATABASE_URL, REDIS_URL: redis.url, JWT_SECRET: SECRET })
  const database = new pg.Client({ connectionString: DATABASE_URL })
  await database.connect()
  t.teardown(() => database.end())
  const id = randomUUID()
  const people = [person(), person(), person()]
  const members = people.map(one => ({ user_id: one.id, token: signToken(one, { secret: SECRET }) }))
  for (const { user_id } of members) await database.query('insert into participants values ($1, $2)', [user_id, id])
  const open = async (who = members, conversation_id = id) => {
    const crowd = new Crowd('socketio', [{ id: conversation_id, members: who }])
    t.teardown(() => crowd.close())
    await crowd.open([url])
    return crowd
  }
  return { database, id, members, open }
}

t.test('the Socket.IO baseline stores, delivers and acknowledges every message, once and in order', async t => {
  const { database, id, open } = await setup(t)
  const crowd = await open()
  for (let turn = 0; turn < 30; turn++) {
    crowd.personAt(turn).send()
    await until(() => crowd.isComplete)
  }
  crowd.checkComplete()
  t.same(crowd.faults, [])
  t.equal(crowd.delivered, 90)
  t.match(await verifyBaseline(database, new Map([[id, 30]])), /^30 messages of the Socket\.IO baseline/)

  await t.rejects(verifyBaseline(database, new Map([[id, 31]])), /31 messages were acknowledged, 30 are stored/)
  await t.rejects(verifyBaseline(database, new Map()), /0 messages were acknowledged, 30 are stored/)
})

t.test('the Socket.IO baseline lets nobody in whose token is not valid', async t => {
  const { members, open } = await setup(t)
  const forged = { user_id: members[0]!.user_id, token: signToken(person(), { secret: 'another-secret-than-that-of-the-test' }) }
  await t.rejects(open([forged]), /was not let in: .*unauthenticated/)
})

t.test('a send that the Socket.IO baseline refuses does not pass for an acknowledgement', async t => {
  const { members, open } = await setup(t)
  const crowd = await open(members, randomUUID())
  crowd.personAt(0).send()
  await until(() => crowd.faults.length > 0)
  t.match(crowd.faults[0], /a message of receiver 0 of conversation 0 was refused/)
  t.equal(crowd.accepted, 0)
})
