import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { freePort } from '../src/index.ts'
import { areGone, startPlatform, startReadyPlatform, temporaryFolder, until } from './platform.ts'

const textAt = async (url: string) => (await fetch(url)).text()

t.test('a start says where it is ready, names its processes, and SIGINT ends all of them', async t => {
  const platform = await startReadyPlatform(t, { args: ['--scale', 'gateway=2'] })
  const { dataDir, port } = platform

  t.match(platform.output(), new RegExp(`^Parley is ready at http://127.0.0.1:${port}$`, 'm'))
  const pids = await platform.pids()
  t.same([...pids.keys()].sort(), ['gateway-1', 'gateway-2', 'message-store-1', 'nats', 'postgres', 'redis'])
  const endpoints = JSON.parse(await readFile(join(dataDir, 'run/endpoints.json'), 'utf8'))
  t.same(Object.keys(endpoints.ops), ['message-store-1', 'gateway-1', 'gateway-2'])
  t.equal(endpoints.gateway.length, 2)
  t.equal(await textAt(endpoints.gateway[0]), 'gateway-1 does not know the database')
  t.equal(await textAt(endpoints.gateway[1]), 'gateway-2 does not know the database')
  for (const url of Object.values<string>(endpoints.ops)) t.equal(await textAt(`${url}/health/ready`), 'ready')

  platform.process.kill('SIGINT')
  t.equal(await platform.exited, 0)
  t.ok(await areGone(pids.values()), 'nothing is left')
  t.equal((await platform.pids()).size, 0)
  t.notOk(existsSync(join(dataDir, 'run/endpoints.json')))
})

t.test('whoever is killed is started again on the same port', async t => {
  const platform = await startReadyPlatform(t)
  const before = await platform.pids()
  const endpoints = await readFile(join(platform.dataDir, 'run/endpoints.json'), 'utf8')

  for (const pid of before.values()) process.kill(pid, 'SIGKILL')

  await until(async () => [...(await platform.pids())].every(([name, pid]) => pid !== before.get(name)), platform.output)
  await until(() =>
    textAt(`http://127.0.0.1:${platform.port}`).then(
      text => text.startsWith('gateway-1'),
      () => false
    )
  )
  t.equal(await readFile(join(platform.dataDir, 'run/endpoints.json'), 'utf8'), endpoints)
  t.equal(platform.output().match(/ended \(SIGKILL\)/g)?.length, before.size, 'one line for each')
})

t.test('a killed starter takes everything with it, and the next start works at once', async t => {
  const dataDir = await temporaryFolder(t)
  const first = await startReadyPlatform(t, { dataDir })
  const pids = await first.pids()

  first.process.kill('SIGKILL')

  const second = await startReadyPlatform(t, { dataDir, port: first.port })
  t.ok(await areGone(pids.values()), 'the first ones were gone before')
  t.equal((await second.pids()).size, pids.size)
})

t.test('a killed launcher takes everything with it', async t => {
  const platform = await startReadyPlatform(t)
  const pids = await platform.pids()
  const [launcher] = (await readFile(join(platform.dataDir, 'run/lock'), 'utf8')).split(' ')

  process.kill(Number(launcher), 'SIGKILL')

  t.equal(await platform.exited, 137)
  await until(() => areGone(pids.values()))
})

t.test('a second start on the same data folder is refused and names the first', async t => {
  const first = await startReadyPlatform(t)
  const second = await startPlatform(t, { dataDir: first.dataDir })

  t.equal(await second.exited, 1)
  const [launcher] = (await readFile(join(first.dataDir, 'run/lock'), 'utf8')).split(' ')
  t.match(second.output(), new RegExp(`^Parley already runs on .* \\(process ${launcher}\\): stop it first`))
})

t.test('a port in use is named, with what to do about it', async t => {
  const port = await freePort()
  const server = createServer().listen(port, '127.0.0.1')
  t.teardown(() => server.close())

  const platform = await startPlatform(t, { port })

  t.equal(await platform.exited, 1)
  t.equal(platform.output(), `port ${port} is already in use: stop what uses it, or choose another (PORT=${port + 1} npm start)\n`)
})

t.test('a service that cannot start is shown by the end of its log, and nothing is left', async t => {
  const platform = await startPlatform(t, { env: { FAILING_INSTANCE: 'gateway-1' } })

  t.equal(await platform.exited, 1)
  t.match(platform.output(), /this one has no reason to live\n\ngateway-1 did not start/)
  t.notMatch(platform.output(), /Parley is ready/)
  t.equal((await platform.pids()).size, 0)
})
