import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Scope, temporaryFolder, until } from '@parley/test-kit'

/** A system call as strace tells it. What two lines tell, begun and resumed, is one call. */
export interface Call {
  pid: number
  name: string
  text: string
  /** Places in the trace: calls of all processes are written in the order in which they happen. */
  begunAt: number
  endedAt: number
}

/**
 * Records system calls of processes that run already.
 *
 * @throws Error where strace is missing, or may not look
 */
export class Trace {
  readonly #child: ChildProcess
  readonly #file: string

  private constructor(child: ChildProcess, file: string) {
    this.#child = child
    this.#file = file
  }

  static async attach(scope: Scope, pids: readonly number[], calls: readonly string[]): Promise<Trace> {
    const file = join(await temporaryFolder(scope, 'trace'), 'strace')
    const child = spawn(
      'strace',
      ['-f', '-y', '-s', '16384', '-e', `trace=${calls.join()}`, '-o', file, ...pids.flatMap(pid => ['-p', `${pid}`])],
      {
        stdio: ['ignore', 'ignore', 'pipe']
      }
    )
    let said = ''
    child.stderr.setEncoding('utf8').on('data', text => {
      said += text
    })
    let failure: Error | undefined
    child.on('error', error => {
      failure = new Error('strace is not here: apt-get install strace', { cause: error })
    })
    const trace = new Trace(child, file)
    scope.teardown(() => trace.end())
    await until(() => failure !== undefined || child.exitCode !== null || pids.every(pid => said.includes(`Process ${pid} attached`)), {
      what: `strace looks at ${pids.length} processes: ${said}`
    })
    if (failure) throw failure
    if (child.exitCode !== null) throw new Error(`strace ended: ${said.trim()}`)
    return trace
  }

  /** Lets the processes go, and gives what they did. */
  async end(): Promise<Call[]> {
    if (this.#child.exitCode === null && this.#child.signalCode === null && this.#child.pid !== undefined) {
      const gone = once(this.#child, 'exit')
      this.#child.kill('SIGINT')
      await gone
    }
    return parse(await readFile(this.#file, 'utf8').catch(() => ''))
  }
}

export function parse(text: string): Call[] {
  const calls: Call[] = []
  const begun = new Map<number, Call>()
  for (const [place, line] of text.split('\n').entries()) {
    const [, id, said = ''] = /^(\d+) +(.*)$/.exec(line) ?? []
    const pid = Number(id)
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(said)
    if (resumed) {
      const call = begun.get(pid)
      begun.delete(pid)
      if (!call) continue
      call.text += resumed[1]
      call.endedAt = place
      continue
    }
    const name = /^(\w+)\(/.exec(said)?.[1]
    if (!name) continue
    const isBegun = said.endsWith('<unfinished ...>')
    const call = { pid, name, text: said, begunAt: place, endedAt: isBegun ? Number.POSITIVE_INFINITY : place }
    calls.push(call)
    if (isBegun) begun.set(pid, call)
  }
  return calls
}

/** A process and all that it has started, as of now. */
export async function familyOf(pid: number): Promise<number[]> {
  const family = [pid]
  for (const task of await readdir(`/proc/${pid}/task`)) {
    const children = await readFile(`/proc/${pid}/task/${task}/children`, 'utf8').catch(() => '')
    for (const child of children.split(' ').filter(Boolean)) family.push(...(await familyOf(Number(child))))
  }
  return family
}
