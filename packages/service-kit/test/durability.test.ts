import { failOnLeftovers, until } from '@parley/test-kit'
import t, { type Test } from 'tap'
import { createApp, guardDurability, type UnsafeSetting } from '../src/index.ts'

failOnLeftovers(t)

const OFF: UnsafeSetting = { setting: 'fsync', value: 'off', why: 'a crash loses commits', fix: 'set fsync = on' }

function setup(t: Test, { NODE_ENV = 'development', allow = '0' as '0' | '1' } = {}) {
  const app = createApp('example', { level: 'silent', instance: '' })
  t.teardown(() => app.close())
  const told: string[] = []
  for (const level of ['warn', 'info'] as const) app.log[level] = ((_: object, text: string) => told.push(`${level}: ${text}`)) as never
  const guard = (components: Record<string, () => Promise<UnsafeSetting[]>>) =>
    guardDurability(app, { NODE_ENV, ALLOW_UNSAFE_DURABILITY: allow, components, everyMs: 20 })
  const gauge = async (component: string) => {
    const { payload } = await app.inject({ url: '/metrics' })
    return new RegExp(`^parley_durability_safe\\{.*component="${component}".*\\} (\\S+)$`, 'm').exec(payload)?.[1]
  }
  return { app, told, guard, gauge }
}

t.test('in production it refuses to start on an unsafe setting, and says which, why it matters and how to mend it', async t => {
  const { guard, told } = setup(t, { NODE_ENV: 'production' })
  const refused = guard({ postgresql: async () => [OFF], jetstream: async () => [] })
  await t.rejects(refused, {
    message: [
      'refused with NODE_ENV=production, because acknowledged messages may be lost:',
      '  postgresql fsync = off: a crash loses commits. To mend it, set fsync = on.',
      'ALLOW_UNSAFE_DURABILITY=1 starts all the same.'
    ].join('\n')
  })
  t.same(told, [])
})

t.test('in production a server that does not answer yet is waited for', async t => {
  const { guard, gauge } = setup(t, { NODE_ENV: 'production' })
  let asked = 0
  const starting = async () => {
    if (++asked < 3) throw new Error('the database is away')
    return []
  }
  await guard({ postgresql: starting })
  t.equal(asked, 3)
  t.equal(await gauge('postgresql'), '1')
})

t.test('where it is allowed, or not in production, it starts at once and warns once', async t => {
  for (const options of [{ NODE_ENV: 'production', allow: '1' as const }, { NODE_ENV: 'development' }]) {
    const { guard, gauge, told } = setup(t, options)
    let asked = 0
    await guard({
      postgresql: async () => {
        asked++
        return [OFF]
      },
      jetstream: async () => Promise.reject(new Error('it does not answer')),
      other: async () => []
    })
    t.same([await gauge('postgresql'), await gauge('jetstream'), await gauge('other')], ['0', '0', '1'])
    await until(() => asked > 3)
    t.same(told, ['warn: acknowledged messages may be lost', 'warn: acknowledged messages may be lost'], 'once for each server')
  }
})

t.test('the metric follows a server whose settings change, and the change is told', async t => {
  const { guard, gauge, told } = setup(t, { NODE_ENV: 'production' })
  let unsafe: UnsafeSetting[] = []
  await guard({ postgresql: async () => unsafe })
  t.equal(await gauge('postgresql'), '1')
  unsafe = [OFF]
  await until(async () => (await gauge('postgresql')) === '0')
  unsafe = []
  await until(async () => (await gauge('postgresql')) === '1')
  t.same(told, ['warn: acknowledged messages may be lost', 'info: durability is safe again'])
})
