import { failOnLeftovers, startTestRedis, until } from '@parley/test-kit'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { redisKit } from '../src/index.ts'

failOnLeftovers(t)

async function setup(t: Test) {
  const server = await startTestRedis(t)
  const app = Fastify()
  await app.register(redisKit, { url: server.url })
  t.teardown(() => app.close())
  await app.ready()
  return { server, redis: app.redis }
}

const took = async (work: Promise<unknown>): Promise<number> => {
  const since = Date.now()
  await work.catch(() => {})
  return Date.now() - since
}

t.test('a command is answered', async t => {
  const { redis } = await setup(t)
  await until(() => redis.status === 'ready')
  t.equal(await redis.set('a', '1'), 'OK')
  t.equal(await redis.get('a'), '1')
})

t.test('a service starts without Redis and finds it once it is there', async t => {
  const { server } = await setup(t)
  await server.stop()
  const app = Fastify()
  await app.register(redisKit, { url: server.url })
  t.teardown(() => app.close())
  await app.ready()
  t.ok((await took(app.redis.get('a'))) < 300)
  await t.rejects(app.redis.get('a'))

  await server.start()

  await until(() => app.redis.set('a', '1'), { what: 'it is found' })
})

t.test('while Redis is away a command fails at once, and works again when it is back', async t => {
  const { server, redis } = await setup(t)
  await until(() => redis.status === 'ready')
  await server.crash()
  await until(() => redis.status !== 'ready', { what: 'the loss is noticed' })
  await t.rejects(redis.incr('a'))
  t.ok((await took(redis.incr('a'))) < 100)

  await server.start()
  await until(() => redis.incr('a'), { what: 'it is back' })
})

t.test('a Redis that does not answer is waited for a quarter of a second', async t => {
  const { server, redis } = await setup(t)
  await until(() => redis.status === 'ready')
  await server.freeze()
  await t.rejects(redis.get('a'), /timed out/)
  const waited = await took(redis.get('a'))
  t.ok(waited >= 200 && waited < 600, `${waited} ms`)
  await server.thaw()
  await until(() => redis.set('a', '1'))
})
