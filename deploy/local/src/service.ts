import { spawn } from 'node:child_process'
import { open } from 'node:fs/promises'
import { get } from 'node:http'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { endProcess, exitOf } from './process.ts'
import { ROOT } from './settings.ts'
import type { Running } from './supervise.ts'

export interface ServiceProcess {
  entry: string
  env: NodeJS.ProcessEnv
  logFile: string
}

/** A service answers what it took in hand before it ends; after this it is not waited for. */
const STOP_MS = 12_000

/**
 * What every service is started with. V8 lets the space of young objects grow to 128 MiB on a large machine and never gives
 * it back: a gateway that 5,000 sockets came into kept 28 KiB a socket with it, and 12.3 with 16 MiB (deploy/Dockerfile has it too).
 */
export const NODE_FLAGS = ['--max-semi-space-size=16']

/** Where compiled code waits for the next start: 0.65 s of CPU for a gateway with it, 1.2 without. */
export const COMPILE_CACHE = { NODE_COMPILE_CACHE: join(ROOT, 'node_modules/.cache/compiled') }

/**
 * Starts a service as a Node process in a session of its own: Ctrl-C must not reach it before its turn to stop.
 * It ends itself when the IPC channel closes, so it never outlives the launcher.
 */
export async function startService({ entry, env, logFile }: ServiceProcess): Promise<Running> {
  const log = await open(logFile, 'a', 0o600)
  const child = spawn(process.execPath, [...NODE_FLAGS, entry], {
    env: { ...COMPILE_CACHE, ...env },
    stdio: ['ignore', log.fd, log.fd, 'ipc'],
    detached: true
  })
  const exited = exitOf(child)
  await log.close()
  if (child.pid === undefined) throw new Error(`${process.execPath} could not be started`)
  // A service that ends while a message is being written to it is no fault of the launcher.
  child.on('error', () => undefined)
  return { pid: child.pid, exited, stop: hurry => endProcess(child, exited, ['SIGTERM', 'SIGKILL'], STOP_MS, hurry) }
}

/** Resolves once the service says that it is ready; false when it has ended or the time is over. */
export async function untilReady(service: Running, opsUrl: string, timeoutMs: number): Promise<boolean> {
  let hasEnded = false
  void service.exited.then(() => {
    hasEnded = true
  })
  const deadline = Date.now() + timeoutMs
  while (!hasEnded && Date.now() < deadline) {
    if ((await statusOf(`${opsUrl}/health/ready`)) === 200) return true
    await Promise.race([service.exited, delay(50)])
  }
  return false
}

function statusOf(url: string): Promise<number | undefined> {
  return new Promise(resolve => {
    const request = get(url, { timeout: 2000, agent: false }, response => {
      response.resume()
      resolve(response.statusCode)
    })
    request.once('timeout', () => request.destroy())
    request.once('error', () => resolve(undefined))
    request.once('close', () => resolve(undefined))
  })
}
