import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { failOnLeftovers, startTestNats } from '@parley/test-kit'
import { connect } from 'nats'
import t from 'tap'
import { type Bus, unsafeJetStream } from '../src/index.ts'

failOnLeftovers(t)

const [safe, lazy] = await Promise.all([startTestNats(t, { syncAlways: true }), startTestNats(t, { syncAlways: false })])
const connection = await connect({ servers: safe.url })
t.teardown(() => connection.close())
const found = async (monitorUrls: string, ours: Pick<Bus, 'connection'> = { connection }) =>
  (await unsafeJetStream(ours as Bus, monitorUrls)).map(({ setting, value, fix }) => ({ is: `${setting}=${value}`, fix }))

t.test('a server that flushes each message before it acknowledges it is safe', async t => {
  t.same(await found(safe.monitorUrl), [])
})

t.test('one that flushes now and then is not, and one of several is enough', async t => {
  const toLazy = await connect({ servers: lazy.url })
  t.teardown(() => toLazy.close())
  t.match(await found(lazy.monitorUrl, { connection: toLazy }), [{ is: 'sync_interval=120s', fix: /sync_interval: always/ }])
  t.match(await found(`${safe.monitorUrl}, ${lazy.monitorUrl}`), [{ is: 'sync_interval=120s' }])
})

t.test('without a monitoring address, or with that of another server, nothing is known', async t => {
  t.match(await found(''), [{ is: 'sync_interval=unknown', fix: /set NATS_MONITOR_URL/ }])
  t.match(await found(lazy.monitorUrl), [{ is: 'sync_interval=unknown', fix: /the server that NATS_URL leads to/ }])
})

t.test('an address at which nobody or somebody else answers is told by name', async t => {
  const somebody = createServer((_, response) => response.writeHead(404).end()).listen(0, '127.0.0.1')
  t.teardown(() => somebody.close())
  await new Promise(resolve => somebody.once('listening', resolve))
  const { port } = somebody.address() as AddressInfo
  for (const url of ['http://127.0.0.1:1', `http://127.0.0.1:${port}`]) {
    await t.rejects(found(url), { message: `the monitoring port of NATS does not answer at ${url}` })
  }
})
