import { spawn } from 'node:child_process'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { connect as connectSocket } from 'node:net'
import { join } from 'node:path'
import { connect as connectNats } from 'nats'
import pg from 'pg'
import t, { type Test } from 'tap'
import { freePort, type Server, startNats, startPostgres, startRedis } from '../src/index.ts'
import { areGone, isRunning, temporaryFolder, until } from './platform.ts'

async function stopped(t: Test, server: Server): Promise<Server> {
  t.teardown(() => server.stop())
  return server
}

async function query<Row>(url: string, text: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => undefined)
  await client.connect()
  try {
    const { rows } = await client.query(text)
    return rows
  } finally {
    await client.end()
  }
}

t.test('PostgreSQL keeps its rows over a restart and over a kill, and flushes each commit', async t => {
  const dataDir = await temporaryFolder(t)
  const first = await stopped(t, await startPostgres({ dataDir }))
  await query(first.url, "create table kept (name text); insert into kept values ('Ärger'), ('Ωmega')")
  await first.stop()
  t.same(await first.exited, { code: 0, signal: null })

  const second = await stopped(t, await startPostgres({ dataDir, port: first.port }))
  t.equal(second.url, first.url, 'the same port and password')
  await query(second.url, "insert into kept values ('third')")
  second.kill('SIGKILL')
  t.same(await second.exited, { code: null, signal: 'SIGKILL' })

  const third = await stopped(t, await startPostgres({ dataDir }))
  t.same(await query(third.url, 'select lower(name) as name from kept'), [{ name: 'ärger' }, { name: 'ωmega' }, { name: 'third' }])
  const settings = await query(
    third.url,
    "select name, setting from pg_settings where name in ('fsync', 'synchronous_commit', 'listen_addresses', 'server_encoding') order by name"
  )
  t.same(settings, [
    { name: 'fsync', setting: 'on' },
    { name: 'listen_addresses', setting: '127.0.0.1' },
    { name: 'server_encoding', setting: 'UTF8' },
    { name: 'synchronous_commit', setting: 'on' }
  ])
  t.equal((await stat(join(dataDir, 'password'))).mode & 0o777, 0o600)
})

t.test('a pid file that names somebody else does not keep PostgreSQL from starting', async t => {
  const dataDir = await temporaryFolder(t)
  const first = await stopped(t, await startPostgres({ dataDir, settings: { fsync: 'off', work_mem: '7MB' }, database: 'other' }))
  t.same(await query(first.url, 'show work_mem'), [{ work_mem: '7MB' }], 'settings reach the server')
  t.match(first.url, /\/other$/)
  const file = join(dataDir, 'cluster/postmaster.pid')
  const lines = await readFile(file, 'utf8')
  await first.stop()

  const sleeper = spawn('sleep', ['60'])
  t.teardown(() => sleeper.kill())
  await writeFile(file, lines.replace(/^\d+/, `${sleeper.pid}`))

  const second = await stopped(t, await startPostgres({ dataDir }))
  t.not(second.pid, first.pid)
})

t.test('NATS keeps a stream over a kill, takes frames of eight megabytes and flushes each message', async t => {
  const dataDir = await temporaryFolder(t)
  const first = await stopped(t, await startNats({ dataDir }))
  const before = await connectNats({ servers: first.url })
  t.equal(before.info?.max_payload, 8 * 1024 * 1024)
  await (await before.jetstreamManager()).streams.add({ name: 'kept', subjects: ['evt.>'] })
  await before.jetstream().publish('evt.one', 'hello')
  await before.close()
  first.kill('SIGKILL')
  await first.exited

  const second = await stopped(t, await startNats({ dataDir, port: first.port }))
  const after = await connectNats({ servers: second.url })
  const message = await (await after.jetstreamManager()).streams.getMessage('kept', { seq: 1 })
  t.equal(message.string(), 'hello')
  await after.close()
  t.match(await readFile(join(dataDir, 'nats.conf'), 'utf8'), /sync_interval: always/)
})

t.test('Redis answers on a loopback port', async t => {
  const { port } = await stopped(t, await startRedis({ dataDir: await temporaryFolder(t) }))
  const answer = await new Promise(resolve => {
    const socket = connectSocket(port, '127.0.0.1', () => socket.write('SET a 1\r\n'))
    socket.once('data', data => {
      resolve(data.toString())
      socket.destroy()
    })
  })
  t.equal(answer, '+OK\r\n')
})

t.test('a server that cannot start says why', async t => {
  const { port } = await stopped(t, await startRedis({ dataDir: await temporaryFolder(t) }))
  await t.rejects(startRedis({ dataDir: await temporaryFolder(t), port }), {
    message: `redis: port ${port} cannot be used: address already in use`
  })
  await t.rejects(startPostgres({ dataDir: await temporaryFolder(t), settings: { work_mem: 'much' } }), {
    message: /^postgres ended at once \(exit code 1\):\n.*invalid value for parameter "work_mem": "much"/s
  })
})

t.test('servers end with the process that started them, even when that is killed', async t => {
  const dataDir = await temporaryFolder(t)
  const script = `
    import { startNats, startPostgres, startRedis } from ${JSON.stringify(join(import.meta.dirname, '../src/index.ts'))}
    const folder = name => ({ dataDir: ${JSON.stringify(dataDir)} + '/' + name })
    const servers = await Promise.all([startPostgres(folder('postgres')), startNats(folder('nats')), startRedis(folder('redis'))])
    process.stdout.write(JSON.stringify(servers.map(server => server.pid)))
    setInterval(() => {}, 1000)`
  const starter = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => starter.kill())
  const pids = JSON.parse(await new Promise<string>(resolve => starter.stdout.once('data', data => resolve(data.toString()))))
  for (const pid of pids) t.ok(await isRunning(pid))

  starter.kill('SIGKILL')
  await until(() => areGone(pids))

  // Their files are free again at once, although nobody may have reaped the dead.
  await stopped(t, await startPostgres({ dataDir: join(dataDir, 'postgres') }))
})

t.test('free ports lie below those of outgoing connections and are not given twice', async t => {
  const ports = await Promise.all(Array.from({ length: 50 }, freePort))
  t.equal(new Set(ports).size, 50)
  t.ok(ports.every(port => port >= 20_000 && port < 32_000))
})
