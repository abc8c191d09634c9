import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { glob, mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { bundleServices } from './bundle.ts'
import { cacheFolder, findProgram, NATS, REDIS } from './debian-packages.ts'
import { findWrongEdges } from './layers.ts'
import { startPostgres } from './postgres.ts'
import { type Exit, exitOf, type Server, withParent, withPatience } from './process.ts'
import { stopwatch } from './report.ts'
import { COMPILE_CACHE } from './service.ts'
import { ROOT } from './settings.ts'
import { TestReport } from './test-report.ts'
import { buildWebClient, hasWebClient } from './web-client.ts'

/** Copied for each test file, which costs a tenth of a second; migrating an empty database each time costs more. */
const TEMPLATE = 'parley_template'

const BIN = join(ROOT, 'node_modules/.bin')
const KILL_AFTER_MS = 5000

const TESTS = ['packages/*/test', 'services/*/test', 'deploy/local/test', 'e2e/test', 'bench/test']
/** Tests wait for what they have killed to come back; a third one works meanwhile. */
const AT_ONCE = availableParallelism() + 1
/** For a single test; a file that needs longer says so. */
const TEST_TIMEOUT_S = 180
/** For a file that has lost its own clock. */
const FILE_TIMEOUT_MS = 900_000

/** How long what a test has started may take to end after it. */
const LEAVE_MS = 5000

const env: NodeJS.ProcessEnv = {
  ...process.env,
  ...COMPILE_CACHE,
  NODE_ENV: 'test',
  PATH: `${BIN}${delimiter}${process.env.PATH}`,
  TAP_TIMEOUT: `${TEST_TIMEOUT_S}`
}
const colour = process.stdout.isTTY && !process.env.NO_COLOR

let passed = 0
let failed = 0
const children = new Set<ChildProcess>()
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
  if (await prepare({ all: args.length === 0 })) await runTests(args)
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
async function prepare({ all }: { all: boolean }): Promise<boolean> {
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
  if (all) env.PARLEY_TEST_SERVICES = await bundleServices()
  process.stdout.write(`${took()}\n`)
  return !isStopped
}

async function runTests(patterns: string[]): Promise<void> {
  const files = await findTests(patterns)
  headline(files.length === 1 ? files[0]! : `${files.length} test files`)
  const report = new TestReport({ print: text => process.stdout.write(text), files: files.length })
  const waiting = files.values()
  const worker = async () => {
    // All workers take from the same list.
    for (const file of waiting) if (!isStopped) await runFile(file, report)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  if (isStopped) return
  report.end()
  passed += report.passed
  failed += report.failures.length
}

/** @throws Error where a pattern names no test */
async function findTests(patterns: string[]): Promise<string[]> {
  const found: string[] = []
  for (const pattern of patterns.length === 0 ? TESTS : patterns) {
    const before = found.length
    for await (const file of glob([pattern, `${pattern}/**/*.test.ts`], { cwd: ROOT, exclude: path => path.includes('node_modules') })) {
      if (file.endsWith('.test.ts')) found.push(file)
    }
    if (found.length === before) throw new Error(`no test is named ${pattern}`)
  }
  return [...new Set(found)].sort()
}

/**
 * A test file is a program that says TAP. It is run as such and not by `tap`, whose runner puts two loaders into each process:
 * 0.7 s of CPU for a file without an import, 0.29 without them.
 */
async function runFile(file: string, report: TestReport): Promise<void> {
  const { write, remark, end } = report.follow(file)
  const child = start([process.execPath, join(ROOT, file)], { onOutput: write, onError: remark })
  const timeout = setTimeout(() => signal(child, 'SIGKILL'), FILE_TIMEOUT_MS)
  const exit = await closedOf(child)
  clearTimeout(timeout)
  end(exit)
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

/** Runs a command and lets it speak. */
async function say(command: string[], { more = {} }: { more?: NodeJS.ProcessEnv } = {}): Promise<boolean> {
  if (isStopped) return false
  return (await closedOf(start(command, { more }))).code === 0
}

type Tell = (text: string) => void
function tell(stream: NodeJS.WriteStream): Tell {
  return text => stream.write(text)
}

/** Its process group is its own, so that it can be ended with all it has started. */
function start(
  command: string[],
  {
    more = {},
    onOutput = tell(process.stdout),
    onError = tell(process.stderr)
  }: { more?: NodeJS.ProcessEnv; onOutput?: Tell; onError?: Tell }
): ChildProcess {
  const [program, ...args] = withParent(command)
  const child = spawn(program!, args, { cwd: ROOT, env: { ...env, ...more }, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  children.add(child)
  child.once('close', () => children.delete(child))
  child.stdout!.setEncoding('utf8').on('data', onOutput)
  child.stderr!.setEncoding('utf8').on('data', onError)
  return child
}

/** Its end, once all that it has said was read. */
async function closedOf(child: ChildProcess): Promise<Exit> {
  const closed = new Promise(resolve => child.once('close', resolve))
  const exit = await exitOf(child)
  await closed
  return exit
}

async function stop(): Promise<void> {
  isStopped = true
  await Promise.all(
    [...children].map(async child => {
      if (child.exitCode !== null || child.signalCode !== null) return
      const gone = exitOf(child)
      for (const name of ['SIGTERM', 'SIGKILL'] as const) {
        signal(child, name)
        await withPatience(gone, KILL_AFTER_MS)
      }
    })
  )
}

function signal(child: ChildProcess, name: NodeJS.Signals): void {
  try {
    process.kill(-child.pid!, name)
  } catch {
    // It has ended meanwhile.
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
