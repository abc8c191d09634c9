import { Type } from '@sinclair/typebox'
import t from 'tap'
import { COMMON, loadConfig } from '../src/index.ts'

const Config = Type.Object({
  ...COMMON,
  DATABASE_URL: Type.String({ pattern: '^postgres(ql)?://', description: 'Where PostgreSQL is.' }),
  POOL_MAX: Type.Integer({ default: 10, minimum: 2, maximum: 200, description: 'Connections.' }),
  SECRET: Type.String({ minLength: 8, description: 'Signs tokens.' })
})

t.test('settings are read with their types, defaults fill in, and nobody changes them afterwards', async t => {
  const config = loadConfig(Config, { DATABASE_URL: 'postgres://h/d', SECRET: 'long enough', POOL_MAX: '5', OPS_PORT: '', OTHER: 'x' })
  t.match(config, { POOL_MAX: 5, OPS_PORT: 0, LOG_LEVEL: 'info', NATS_URL: 'nats://127.0.0.1:4222' })
  t.notOk('OTHER' in config)
  t.throws(() => Object.assign(config, { POOL_MAX: 6 }))
})

t.test('all faults are told together, each with what the setting is for', async t => {
  const faulty = () => loadConfig(Config, { DATABASE_URL: 'mysql://h', POOL_MAX: '1', LOG_LEVEL: 'loud', OPS_PORT: 'http' })
  const { message } = t.throws(faulty) as unknown as Error
  for (const name of ['DATABASE_URL', 'POOL_MAX', 'SECRET', 'LOG_LEVEL', 'OPS_PORT']) {
    t.equal(message.split('\n').filter(line => line.startsWith(`  ${name}: `)).length, 1, `${name} is told once`)
  }
  t.match(message, 'Where PostgreSQL is.')
  t.equal(message.split('\n').length, 6)
  t.notMatch(message, 'NATS_URL')
})

t.test('a number is a whole one or a fault, never a part of what was written', async t => {
  const read = (POOL_MAX: string) => loadConfig(Type.Object({ POOL_MAX: Config.properties.POOL_MAX }), { POOL_MAX }).POOL_MAX
  t.equal(read('20'), 20)
  for (const text of ['5.7', '20x', 'ten', 'NaN', 'Infinity', 'true']) t.throws(() => read(text), /POOL_MAX/, text)
})
