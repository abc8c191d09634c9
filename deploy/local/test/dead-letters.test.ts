import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { startPostgres } from '../src/postgres.ts'
import { ROOT } from '../src/settings.ts'
import { temporaryFolder } from './platform.ts'

const COMMAND = join(ROOT, 'deploy/local/src/dead-letters.ts')

const run = (args: string[], env: NodeJS.ProcessEnv) =>
  new Promise<{ code: number; out: string; err: string }>(resolve => {
    execFile(process.execPath, [COMMAND, ...args], { env: { PATH: process.env.PATH, ...env } }, (error, out, err) =>
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, out, err })
    )
  })

t.test('without arguments it says what it can do', async t => {
  for (const args of [[], ['help'], ['--help']]) t.match(await run(args, {}), { code: 0, out: /replay --all --consumer X/, err: '' })
})

t.test('what makes no sense is refused in a sentence', async t => {
  const refused = async (...args: string[]) => {
    const { code, err, out } = await run(args, { DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none' })
    t.equal(code, 1)
    t.equal(out, '')
    t.notMatch(err, /\n +at /)
    return err
  }
  t.match(await refused('burn'), /unknown command burn/)
  t.match(await refused('show'), /number of one letter/)
  t.match(await refused('replay', '--all'), /needs --consumer/)
  t.match(await refused('drop'), /takes the numbers/)
  t.match(await refused('drop', 'all'), /unknown argument all/)
  t.match(await refused('list'), /cannot be reached .*ECONNREFUSED/)
})

t.test('it finds the database of the Parley that runs on the data folder, and says when none does', async t => {
  const folder = await temporaryFolder(t)
  const missing = await run(['list'], { PARLEY_DATA_DIR: folder })
  t.match(missing, { code: 1, err: /no Parley runs on .*set DATABASE_URL/ })

  const server = await startPostgres({ dataDir: join(folder, 'postgres'), settings: { fsync: 'off' } })
  t.teardown(() => server.stop())
  await mkdir(join(folder, 'run'))
  await writeFile(join(folder, 'run/servers.json'), JSON.stringify({ database: server.url, nats: '' }))
  t.match(await run(['list'], { PARLEY_DATA_DIR: folder }), { code: 0, out: 'No dead letters.\n' })
  t.match(await run(['show', '3'], { PARLEY_DATA_DIR: folder }), { code: 1, err: /there is no letter 3/ })
})
