import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { cacheFolder, findProgram, NATS, REDIS } from './debian-packages.ts'
import { findWrongEdges } from './layers.ts'
import { startPostgres } from './postgres.ts'
import { exitOf, type Server, withParent, withPatience } from './process.ts'
import { stopwatch } from './report.ts'
import { COMPILE_CACHE } from './service.ts'
import { ROOT } from './settings.ts'
import { TestReport } from './test-report.ts'
import { buildWebClient, hasWebClient } from './web-client.ts'

/** Copied for each test file, which costs a tenth of a second; migrating an empty database each time costs more. */
const TEMPLATE = 'parley_template'

const BIN = join(ROOT, 'node_modules/.bin')
const KILL_AFTER_MS = 5000

/** How long what a test has started may take to end after it. */
const LEAVE_MS = 5000

const env: NodeJS.ProcessEnv = { ...process.env, ...COMPILE_CACHE, NODE_ENV: 'test', PATH: `${BIN}${delimiter}${process.env.PATH}` }
const colour = process.stdout.isTTY && !process.env.NO_COLOR

let passed = 0
let failed = 0
let child: ChildProcess | undefined
let postgres: Server | undefined
let isStopped = false

await removeAbandoned()
const folder = await mkdtemp(join(tmpdir(), `parley-test-${process.pid}-`))
// Whatever tests write goes with this run's folder, and whatever process they start is known by it.
env.TMPDIR = join(folder, 'tmp')
await mkdir(env.TMPDIR)
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void stop())
process.once('disconnect', () => void stop())

try {
  // With arguments somebody works on a few test files and wants their result alone.
  const args = process.argv.slice(2)
  if (args.length === 0) await checkSources()
  if (await prepare()) await runTests(args)
} catch (error) {
  if (!isStopped) fail(error instanceof Error ? (error.stack ?? error.message) : String(error))
} finally {
  await cleanUp()
}
if (isStopped) process.exit(130)
process.stdout.write(`${passed} passed, ${failed} failed\n`)
process.exit(failed === 0 ? 0 : 1)

async function checkSources(): Promise<void> {
  await check('type check', async () => {
    const root = await say([join(BIN, 'tsc'), '-p', '.'])
    if (!existsSync(join(ROOT, 'packages/web/tsconfig.json'))) return root
    return (await say([join(BIN, 'vue-tsc'), '--noEmit', '-p', 'packages/web'])) && root
  })
  await check('lint and format', () => say([join(BIN, 'biome'), 'check', '.', ...(colour ? ['--colors=force'] : [])]))
  await check('layers', async () => {
    const wrong = await findWrongEdges(ROOT.replace(/\/$/, ''))
    for (const sentence of wrong) process.stdout.write(`${sentence}\n`)
    return wrong.length === 0
  })
}

/** Brings up what every test file takes for granted. @returns false when that failed, which is counted */
async function prepare(): Promise<boolean> {
  headline('servers and web client')
  const took = stopwatch()
  // Test files start servers themselves: where the cache cannot be written, they share one that ends with this run.
  if ((await cacheFolder(folder)).startsWith(folder)) {
    process.env.XDG_CACHE_HOME = join(folder, 'cache')
    env.XDG_CACHE_HOME = process.env.XDG_CACHE_HOME
  }
  await Promise.all([findProgram(NATS, folder), findProgram(REDIS, folder)])
  if (isStopped) return false
  postgres = await startPostgres({ dataDir: join(folder, 'postgres'), database: TEMPLATE })
  const template = postgres.url
  const url = new URL(template)
  url.pathname = '/postgres'
  env.PARLEY_TEST_DATABASE_URL = url.href
  env.PARLEY_TEST_TEMPLATE = TEMPLATE
  if (!(await say([process.execPath, join(ROOT, 'services/message-store/src/migrate.ts')], { more: { DATABASE_URL: template } }))) {
    return isStopped ? false : fail('the template database could not be migrated')
  }
  if (hasWebClient()) await buildWebClient()
  await buildTap()
  process.stdout.write(`${took()}\n`)
  return !isStopped
}

/** tap compiles its plugins once for an installation; without that the first run fails. */
async function buildTap(): Promise<void> {
  const stampFile = join(ROOT, '.tap/.parley-built')
  const installed = await readFile(join(ROOT, 'node_modules/.parley-installed'), 'utf8').catch(() => '')
  const built = await readFile(stampFile, 'utf8').catch(() => undefined)
  if (existsSync(join(ROOT, '.tap/plugins')) && built === installed) return
  if (!(await say([join(BIN, 'tap'), 'build']))) throw new Error('tap could not build its plugins')
  await writeFile(stampFile, installed)
}

async function runTests(args: string[]): Promise<void> {
  headline('tests')
  // Which files were named is all that tells somebody at work on them from the run of everything.
  const report = new TestReport({ print: text => process.stdout.write(text), names: args.length > 0 })
  const ok = await say([join(BIN, 'tap'), '--reporter=tap', ...args], { onOutput: text => report.write(text) })
  if (isStopped) return
  report.end()
  passed += report.passed
  failed += report.failures.length
  if (!ok && report.failures.length === 0) fail('the tests did not come to an end')
}

async function check(name: string, run: () => Promise<boolean>): Promise<void> {
  if (isStopped) return
  headline(name)
  const took = stopwatch()
  if (await run()) passed++
  else failed++
  process.stdout.write(`${took()}\n`)
}

function fail(text: string): false {
  process.stdout.write(`${text}\n`)
  failed++
  return false
}

function headline(text: string): void {
  process.stdout.write(colour ? `\n\x1b[1m${text}\x1b[0m\n` : `\n== ${text}\n`)
}

/** Runs a command and lets it speak. Its process group is its own, so that it can be ended with all it has started. */
async function say(
  command: string[],
  { more = {}, onOutput = text => process.stdout.write(text) }: { more?: NodeJS.ProcessEnv; onOutput?: (text: string) => void } = {}
): Promise<boolean> {
  if (isStopped) return false
  const [program, ...args] = withParent(command)
  child = spawn(program!, args, { cwd: ROOT, env: { ...env, ...more }, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  child.stdout!.setEncoding('utf8').on('data', onOutput)
  child.stderr!.setEncoding('utf8').on('data', text => process.stderr.write(text))
  const closed = new Promise(resolve => child!.once('close', resolve))
  const { code } = await exitOf(child)
  await closed
  return code === 0
}

async function stop(): Promise<void> {
  isStopped = true
  if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const gone = exitOf(child)
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    try {
      process.kill(-child.pid, signal)
    } catch {
      return
    }
    await withPatience(gone, KILL_AFTER_MS)
  }
}

async function cleanUp(): Promise<void> {
  await postgres?.stop()
  const deadline = Date.now() + LEAVE_MS
  let left = await startedByTests()
  while (left.length > 0 && Date.now() < deadline) {
    await delay(100)
    left = await startedByTests()
  }
  for (const { pid, command } of left) {
    fail(`left behind by a test and ended now: ${command} (process ${pid})`)
    process.kill(pid, 'SIGKILL')
  }
  await rm(folder, { recursive: true, force: true, maxRetries: 5 })
}

async function startedByTests(): Promise<{ pid: number; command: string }[]> {
  if (process.platform !== 'linux') return []
  const left: { pid: number; command: string }[] = []
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    const environ = await readFile(`/proc/${entry}/environ`, 'utf8').catch(() => '')
    if (!environ.split('\0').includes(`TMPDIR=${env.TMPDIR}`)) continue
    const command = await readFile(`/proc/${entry}/cmdline`, 'utf8').catch(() => '')
    left.push({ pid: Number(entry), command: command.replaceAll('\0', ' ').trim() })
  }
  return left
}

/** A run that was killed outright could not remove its folder, which carries its pid. */
async function removeAbandoned(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const pid = /^parley-test-(\d+)-/.exec(name)?.[1]
    if (pid && process.platform === 'linux' && !existsSync(`/proc/${pid}`)) await rm(join(tmpdir(), name), { recursive: true, force: true })
  }
}
