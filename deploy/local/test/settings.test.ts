import t from 'tap'
import { readSettings } from '../src/settings.ts'

const read = (args: string[], env: NodeJS.ProcessEnv = {}) => readSettings(args, env, ['message-store', 'gateway'])

t.test('with nothing set it is a demo on port 3000 of this machine alone', async t => {
  const { host, port, demo, dataDir, scale } = read([])
  t.same({ host, port, demo, scale: [...scale] }, { host: '127.0.0.1', port: 3000, demo: true, scale: [] })
  t.match(dataDir, /\/\.parley$/)
})

t.test('services are scaled by either spelling', async t => {
  t.same(
    [...read(['--scale', 'gateway=2', '--scale=message-store=3']).scale],
    [
      ['gateway', 2],
      ['message-store', 3]
    ]
  )
})

t.test('what makes no sense is refused with one sentence', async t => {
  t.throws(() => read(['--scale', 'presence=2']), { message: '--scale knows no service presence: there are message-store, gateway' })
  t.throws(() => read(['--scale', 'gateway=0']), { message: '--scale gateway takes a number from 1 to 20, not 0' })
  t.throws(() => read(['--scale', 'gateway=two']), { message: /^--scale takes <service>=<number>/ })
  t.throws(() => read(['--scale']), { message: /^--scale takes <service>=<number>/ })
  t.throws(() => read(['--verbose']), { message: /^unknown argument --verbose/ })
  t.throws(() => read([], { PORT: '70000' }), { message: 'PORT is a number from 1 to 65535, not 70000' })
  t.throws(() => read([], { DEMO: 'yes' }), { message: 'DEMO is 0 or 1, not yes' })
})

t.test('production is never a demo', async t => {
  t.equal(read([], { NODE_ENV: 'production' }).demo, false)
  t.throws(() => read([], { NODE_ENV: 'production', DEMO: '1' }), { message: /^DEMO=1 .* is refused/ })
})

t.test('the services inherit the environment, but not where the database is', async t => {
  t.same(read([], { LOG_LEVEL: 'warn', DATABASE_URL: 'postgres://x', npm_config_cache: 'y' }).env, { LOG_LEVEL: 'warn' })
})
