// What `npm start` and `npm test` share. No dependencies: it runs in a fresh clone, under the system's Node 20.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { join, resolve as resolvePath } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))
const PNPM = 'pnpm@12.21.0'
const MIN_BOOTSTRAP_NODE = 20
const MIN_NODE = 24
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP']

/** One Ctrl-C may arrive twice, from the terminal and from npm; what follows within this time is the same one. */
const SAME_SIGNAL_MS = 700
const PARENT_POLL_MS = 200

/** Installs what is missing, then runs a TypeScript file in its own session until it ends; ends this process with the same code. */
export async function bootstrap(entry) {
  if (majorVersion(process.version) < MIN_BOOTSTRAP_NODE) {
    refuse(
      `Parley needs Node.js ${MIN_BOOTSTRAP_NODE} or newer and this is ${process.version}: install a newer one from https://nodejs.org`
    )
  }
  await install()
  const code = await run(findNode(), [resolvePath(root, entry), ...process.argv.slice(2)])
  process.exit(code)
}

async function install() {
  const stampFile = join(root, 'node_modules', '.parley-installed')
  const stamp = createHash('sha256')
    .update(readFileSync(join(root, 'pnpm-lock.yaml')))
    .update(readFileSync(join(root, 'pnpm-workspace.yaml')))
    .digest('hex')
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return

  const startedAt = Date.now()
  process.stdout.write('• installing packages …')
  // NODE_ENV=production would leave out what builds the web client; CI keeps pnpm from asking questions.
  const { NODE_ENV: _, ...env } = process.env
  const child = spawn('npx', ['-y', PNPM, 'install', '--frozen-lockfile'], {
    cwd: root,
    env: { ...env, CI: 'true' },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true
  })
  const stopInstall = () => {
    process.stdout.write('\n')
    try {
      process.kill(-child.pid, 'SIGTERM')
    } catch {
      // It ended by itself in the meantime.
    }
    process.exit(130)
  }
  for (const signal of SIGNALS) process.on(signal, stopInstall)
  let output = ''
  const collect = text => {
    output = (output + text).slice(-20_000)
  }
  child.stdout.on('data', collect)
  child.stderr.on('data', collect)
  const code = await new Promise(resolve => {
    child.once('error', error => resolve(error.message))
    child.once('close', resolve)
  })
  for (const signal of SIGNALS) process.off(signal, stopInstall)
  process.stdout.write(`  ${Math.round((Date.now() - startedAt) / 1000)} s\n`)
  if (code !== 0) {
    process.stderr.write(`${output.trimEnd().split('\n').slice(-30).join('\n')}\n\n`)
    refuse(`The packages could not be installed (npx ${PNPM} install: ${code}): see above; the package registry must be reachable`)
  }
  writeFileSync(stampFile, stamp)
}

function findNode() {
  const packaged = join(root, 'node_modules', '.bin', 'node')
  if (existsSync(packaged)) return packaged
  if (majorVersion(process.version) >= MIN_NODE) return process.execPath
  return refuse(
    `Parley brings its own Node.js for Linux alone; ${process.platform} ${process.arch} needs Node.js ${MIN_NODE} or newer and this is ${process.version}`
  )
}

/**
 * Runs a program with the terminal's output but in a session of its own, so that each signal reaches it once, from here.
 * It learns of this process's end, whatever the cause, by the IPC channel closing.
 */
function run(command, args) {
  const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit', 'ipc'], detached: true })
  let lastSignalAt = 0
  const forward = signal => {
    if (Date.now() - lastSignalAt < SAME_SIGNAL_MS) return
    lastSignalAt = Date.now()
    child.kill(signal === 'SIGHUP' ? 'SIGTERM' : signal)
  }
  for (const signal of SIGNALS) process.on(signal, forward)
  // npm that is killed outright cannot pass that on; its place as the parent is then somebody else's.
  const parent = process.ppid
  if (process.env.npm_lifecycle_event) {
    const poll = setInterval(() => {
      if (process.ppid === parent) return
      clearInterval(poll)
      forward('SIGTERM')
    }, PARENT_POLL_MS)
  }
  return new Promise(resolve => {
    child.once('error', error => refuse(`${command} could not be started: ${error.message}`))
    child.once('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal]))
  })
}

function majorVersion(version) {
  return Number(version.slice(1).split('.')[0])
}

function refuse(sentence) {
  process.stderr.write(`${sentence}\n`)
  process.exit(1)
}
