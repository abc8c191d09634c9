import t from 'tap'
import { createApp } from '../src/index.ts'

function setup(states: Record<string, { needed: boolean; check: () => boolean | Promise<boolean> }> = {}) {
  const app = createApp('example', { level: 'silent', instance: '' })
  for (const [name, dependency] of Object.entries(states)) app.health.add(name, dependency)
  const get = async (url: string) => {
    const { statusCode, payload, headers } = await app.inject({ url })
    return { status: statusCode, body: payload, type: headers['content-type'] }
  }
  return { app, get, ready: async () => ({ ...(await get('/health/ready')), ...JSON.parse((await get('/health/ready')).body) }) }
}

const up = () => true
const down = async () => false

t.test('a service is ready when everything it needs is there, and names each dependency', async t => {
  const { ready, get } = setup({ postgres: { needed: true, check: up }, redis: { needed: false, check: up } })
  t.match(await ready(), { body: JSON.stringify({ status: 'ready', dependencies: { postgres: 'up', redis: 'up' } }) })
  t.equal((await get('/health/ready')).status, 200)
})

t.test('without what it needs it is not ready (503), without the rest it is degraded (200)', async t => {
  const throws = () => {
    throw new Error('not connected')
  }
  for (const away of [down, throws, () => Promise.reject(new Error('away'))]) {
    const needed = setup({ postgres: { needed: true, check: away }, redis: { needed: false, check: away } })
    t.equal((await needed.get('/health/ready')).status, 503)
    t.match(JSON.parse((await needed.get('/health/ready')).body), {
      status: 'not_ready',
      dependencies: { postgres: 'down', redis: 'down' }
    })
    const degraded = setup({ redis: { needed: false, check: away }, postgres: { needed: true, check: up } })
    t.equal((await degraded.get('/health/ready')).status, 200)
    t.match(JSON.parse((await degraded.get('/health/ready')).body), { status: 'degraded', dependencies: { postgres: 'up', redis: 'down' } })
  }
})

t.test('a service that stops is alive and not ready', async t => {
  const { app, get } = setup({ postgres: { needed: true, check: up } })
  app.health.stopping = true
  t.equal((await get('/health/ready')).status, 503)
  t.equal(JSON.parse((await get('/health/ready')).body).status, 'stopping')
  t.equal((await get('/health/live')).status, 200)
})

t.test('metrics are in the format of Prometheus, carry the service, and one that cannot be read harms no other', async t => {
  const { app, get } = setup()
  app.metrics.counter('things_total', 'Things.', ['kind']).inc({ kind: 'a' }, 3)
  app.metrics.gauge('depth', 'Depth.', async () => 7)
  app.metrics.gauge('unreadable', 'Unreadable.', () => Promise.reject(new Error('away')))
  app.metrics.histogram('size', 'Size.', [1, 10]).observe(5)

  const { status, type, body } = await get('/metrics')

  t.equal(status, 200)
  t.match(type, /^text\/plain/)
  t.match(body, /^parley_things_total\{(?=.*kind="a")(?=.*service="example").*\} 3$/m)
  t.match(body, /^parley_depth\{service="example"\} 7$/m)
  t.match(body, /^parley_unreadable\{service="example"\} (NaN|Nan)$/m)
  t.match(body, /^parley_size_bucket\{(?=.*le="10").*\} 1$/m)
  t.match(body, /^(process|nodejs)_/m)
})
