import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { open, readdir, readFile, readlink, realpath } from 'node:fs/promises'
import { connect } from 'node:net'
import { delimiter, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { portProblem } from './ports.ts'

/** How a process ended: with a code of its own, or by a signal. */
export interface Exit {
  code: number | null
  signal: NodeJS.Signals | null
}

/** A database, broker or cache of our own, as a process on a loopback port. */
export interface Server {
  readonly name: string
  readonly pid: number
  readonly port: number
  readonly url: string
  /** Settles once the process is gone, whoever ended it. */
  readonly exited: Promise<Exit>
  /**
   * Shuts the server down and resolves once it is gone. May be called again, also when it has ended by itself.
   *
   * @param hurry aborts the waiting for a polite end
   */
  stop(hurry?: AbortSignal): Promise<void>
  kill(signal: NodeJS.Signals): void
}

export interface ServerProcess {
  name: string
  command: string
  args: string[]
  cwd: string
  env?: NodeJS.ProcessEnv
  port: number
  url: string
  logFile: string
  /** Signals that end it, from polite to firm; the next is sent when the last had no effect for ten seconds. SIGKILL ends the list. */
  stopSignals: NodeJS.Signals[]
  isReady: () => Promise<boolean>
  startTimeoutMs?: number
}

const STOP_STEP_MS = 10_000
const MAX_OUTPUT_CHARS = 1_000_000

/**
 * Starts a server and resolves once it answers.
 *
 * It has a session of its own, so Ctrl-C reaches whoever started it and not the server, which must outlive
 * the services that still have work in hand. It ends when the starting process does, also after SIGKILL.
 *
 * @throws when it ends or stays silent instead; the message carries the last lines of its log
 */
export async function startServer(server: ServerProcess): Promise<Server> {
  const { name, port, url, logFile, stopSignals, isReady, startTimeoutMs = 60_000 } = server
  // Asked beforehand: whoever listens there would be taken for the server that is starting.
  const problem = await portProblem(port)
  if (problem) throw new Error(`${name}: port ${port} cannot be used: ${problem === 'EADDRINUSE' ? 'address already in use' : problem}`)
  const log = await open(logFile, 'a', 0o600)
  const logStart = (await log.stat()).size
  const [command, ...args] = withParent([server.command, ...server.args])
  const child = spawn(command!, args, {
    cwd: server.cwd,
    env: { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC', ...server.env },
    stdio: ['ignore', log.fd, log.fd],
    detached: true
  })
  const exited = exitOf(child)
  await log.close()

  let ended: Exit | undefined
  void exited.then(exit => {
    ended = exit
  })
  const stop = (hurry?: AbortSignal) => endProcess(child, exited, [...stopSignals, 'SIGKILL'], STOP_STEP_MS, hurry)

  const deadline = Date.now() + startTimeoutMs
  while (!(await isReady())) {
    if (!ended && Date.now() < deadline) {
      await Promise.race([exited, delay(25)])
      continue
    }
    const how = ended ? `ended at once (${describeExit(ended)})` : `did not answer within ${startTimeoutMs / 1000} s`
    await stop()
    const said = (await readFile(logFile)).subarray(logStart).toString().trimEnd().split('\n').slice(-8).join('\n')
    throw new Error(`${name} ${how}${said ? `:\n${said}` : ''}`)
  }
  return { name, pid: child.pid!, port, url, exited, stop, kill: signal => void child.kill(signal) }
}

/** Puts `setpriv --pdeathsig` before a command where the system has it: the process then ends with its parent, whatever ends that. */
export function withParent(command: string[]): string[] {
  const setpriv = findOnPath('setpriv')
  return process.platform === 'linux' && setpriv ? [setpriv, '--pdeathsig', 'INT', ...command] : command
}

/** Sends one signal after the other until the process is gone; `hurry` ends the patience with the one that was sent. */
export async function endProcess(
  child: ChildProcess,
  exited: Promise<Exit>,
  signals: NodeJS.Signals[],
  stepMs: number,
  hurry?: AbortSignal
): Promise<void> {
  let isGone = false
  const gone = exited.then(() => {
    isGone = true
  })
  for (const signal of signals) {
    await Promise.resolve()
    if (isGone) return
    child.kill(signal)
    const isLast = signal === signals.at(-1)
    if (!isLast) await withPatience(gone, stepMs, hurry)
  }
  await gone
}

/** Waits for a promise, but no longer than a time, and no longer at all once `hurry` has been aborted. */
export async function withPatience(promise: Promise<unknown>, timeoutMs: number, hurry?: AbortSignal): Promise<void> {
  const done = new AbortController()
  const signal = hurry ? AbortSignal.any([done.signal, hurry]) : done.signal
  await Promise.race([promise, delay(timeoutMs, undefined, { signal }).catch(() => undefined)])
  done.abort()
}

/** A child's end as a promise that never rejects; a command that cannot be started ends with code 127, like in a shell. */
export function exitOf(child: ChildProcess): Promise<Exit> {
  return new Promise(resolve => {
    child.once('exit', (code, signal) => resolve({ code, signal }))
    child.once('error', () => {
      if (child.pid === undefined) resolve({ code: 127, signal: null })
    })
  })
}

export function describeExit({ code, signal }: Exit): string {
  return signal ?? `exit code ${code}`
}

/** Runs a command to its end, or to ours, and returns the last of what it said. */
export async function runCommand(command: string[], { env, cwd, input }: { env?: NodeJS.ProcessEnv; cwd?: string; input?: string } = {}) {
  const [program, ...args] = withParent(command)
  const child = spawn(program!, args, { env: { ...process.env, ...env }, cwd, stdio: ['pipe', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', text => {
      output = (output + text).slice(-MAX_OUTPUT_CHARS)
    })
  }
  child.stdin.on('error', () => undefined)
  child.stdin.end(input)
  const exited = exitOf(child)
  if (child.pid !== undefined) await once(child, 'close')
  const { code } = await exited
  return { ok: code === 0, code, output }
}

export function findOnPath(command: string): string | undefined {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .filter(Boolean)
    .map(folder => join(folder, command))
    .find(existsSync)
}

/**
 * Waits until no process works in a folder any more.
 *
 * A server whose starter was killed needs a moment to shut down, and a new one beside it would fail or, worse,
 * share its files. Its pid file is no witness: a pid may belong to a process that is dead but not reaped, or to
 * somebody else by now. Only Linux can be asked; elsewhere this returns at once.
 *
 * @throws when somebody still works there after the timeout
 */
export async function untilUnused(folder: string, { name, timeoutMs = 15_000 }: { name: string; timeoutMs?: number }): Promise<void> {
  if (process.platform !== 'linux') return
  const path = await realpath(folder)
  const deadline = Date.now() + timeoutMs
  for (;;) {
    const pid = await processIn(path)
    if (pid === undefined) return
    if (Date.now() > deadline) throw new Error(`${name}: process ${pid} still works in ${path}; end it first (kill ${pid})`)
    await delay(100)
  }
}

async function processIn(path: string): Promise<number | undefined> {
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry) || Number(entry) === process.pid) continue
    const cwd = await readlink(`/proc/${entry}/cwd`).catch(() => undefined)
    if (cwd === path) return Number(entry)
  }
  return undefined
}

/** Asks a loopback port one question and returns the first bytes of the answer, or undefined when there is none. */
export function askPort(port: number, question: string | Buffer): Promise<string | undefined> {
  return new Promise(resolve => {
    const socket = connect({ port, host: '127.0.0.1' })
    const done = (answer?: string) => {
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(2000, () => done())
    socket.once('error', () => done())
    socket.once('close', () => done())
    socket.once('data', data => done(data.toString('latin1')))
    socket.once('connect', () => {
      if (question.length > 0) socket.write(question)
    })
  })
}
