import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Test } from 'tap'
import { freePort } from '../src/index.ts'

export interface Platform {
  process: ChildProcess
  dataDir: string
  port: number
  output: () => string
  exited: Promise<number | null>
  pids: () => Promise<Map<string, number>>
}

/** Runs the launcher with stand-ins for the services, the way `npm start` runs it. */
export async function startPlatform(
  t: Test,
  { args = [], env = {}, dataDir, port }: { args?: string[]; env?: NodeJS.ProcessEnv; dataDir?: string; port?: number } = {}
): Promise<Platform> {
  const folder = dataDir ?? (await temporaryFolder(t))
  const door = port ?? (await freePort())
  const child = spawn('node', [join(import.meta.dirname, 'stand-in/start.mjs'), ...args], {
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      XDG_CACHE_HOME: process.env.XDG_CACHE_HOME,
      TMPDIR: process.env.TMPDIR,
      ...env,
      PARLEY_DATA_DIR: folder,
      PORT: `${door}`
    },
    stdio: ['ignore', 'pipe', 'pipe']
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', text => {
      output += text
    })
  }
  const exited = new Promise<number | null>(resolve => child.once('close', resolve))
  t.teardown(async () => {
    child.kill('SIGTERM')
    await exited
  })
  const pids = async () => {
    const files = (await readdir(join(folder, 'run'))).filter(name => name.endsWith('.pid'))
    const read = files.map(async name => [name.slice(0, -4), Number(await readFile(join(folder, 'run', name), 'utf8'))] as const)
    return new Map(await Promise.all(read))
  }
  return { process: child, dataDir: folder, port: door, output: () => output, exited, pids }
}

export async function startReadyPlatform(t: Test, options: Parameters<typeof startPlatform>[1] = {}): Promise<Platform> {
  const platform = await startPlatform(t, options)
  await until(() => platform.output().includes('Parley is ready at'), platform.output)
  return platform
}

/** A folder that is closed to others, like a home. */
export async function temporaryFolder(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'parley-local-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}

export async function until(fact: () => boolean | Promise<boolean>, describe: () => string = () => '', timeoutMs = 15_000): Promise<void> {
  const deadline = Date.now() + timeoutMs
  while (!(await fact())) {
    if (Date.now() > deadline) throw new Error(`it did not come true within ${timeoutMs} ms\n${describe()}`)
    await delay(20)
  }
}

/** Whether a process runs; one that is dead and waits to be reaped does not. */
export async function isRunning(pid: number): Promise<boolean> {
  if (!existsSync(`/proc/${pid}`)) return false
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => 'State:\tX')
  return !/^State:\s+[ZX]/m.test(status)
}

export async function areGone(pids: Iterable<number>): Promise<boolean> {
  for (const pid of pids) if (await isRunning(pid)) return false
  return true
}
