import { readFileSync } from 'node:fs'
import { cpus } from 'node:os'
import type { Watched } from './load/protocol.ts'

/** A tick of /proc/<pid>/stat: USER_HZ is 100 on every Linux that Node runs on. */
const TICK_US = 10_000

/** CPU that processes use between its making and `read`. */
export class Watch {
  readonly #watched: Watched
  readonly #startedAt = performance.now()
  readonly #cpu: Record<string, number>
  readonly #own = process.cpuUsage()
  readonly #machine = machineBusyUs()

  constructor(watched: Watched) {
    this.#watched = watched
    this.#cpu = cpuOf(watched)
  }

  read(): { seconds: number; cpu: Record<string, number>; loadShare: number; otherShare: number | undefined } {
    const us = (performance.now() - this.#startedAt) * 1_000
    const now = cpuOf(this.#watched)
    const cpu = Object.fromEntries(Object.entries(now).map(([name, used]) => [name, used - this.#cpu[name]!]))
    const own = process.cpuUsage(this.#own)
    const ownUs = own.user + own.system
    const machine = machineBusyUs()
    const known = Object.values(cpu).reduce((sum, used) => sum + used, ownUs)
    return {
      seconds: us / 1_000_000,
      cpu,
      loadShare: ownUs / us,
      otherShare: machine === undefined || this.#machine === undefined ? undefined : Math.max(0, machine - this.#machine - known) / us
    }
  }
}

function cpuOf(watched: Watched): Record<string, number> {
  return Object.fromEntries(
    Object.entries(watched).map(([name, { pid, children = false }]) => {
      const pids = children ? [pid, ...childrenOf(pid)] : [pid]
      return [name, pids.reduce((sum, one) => sum + ticksOf(one, children && one === pid), 0) * TICK_US]
    })
  )
}

/** User and system time in ticks; of a parent also that of the children which it has outlived. */
function ticksOf(pid: number, isParent: boolean): number {
  const line = read(`/proc/${pid}/stat`)
  // The name in parentheses may hold spaces.
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ')
  const [user = 0, system = 0, endedUser = 0, endedSystem = 0] = fields.slice(11, 15).map(Number)
  return user + system + (isParent ? endedUser + endedSystem : 0)
}

function childrenOf(pid: number): number[] {
  return read(`/proc/${pid}/task/${pid}/children`).split(' ').filter(Boolean).map(Number)
}

/** All that the cores did but wait, also for others on the same machine (steal). */
function machineBusyUs(): number | undefined {
  const [, ...fields] = read('/proc/stat').split('\n', 1)[0]!.split(/\s+/).map(Number)
  if (fields.length < 8) return undefined
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = fields
  return (user + nice + system + irq + softirq + steal) * TICK_US
}

/** Memory of a process that is in use right now, in KiB. */
export function residentKb(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(read(`/proc/${pid}/status`))?.[1] ?? Number.NaN)
}

/** Empty where the process has ended, or where there is no /proc. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

export const CORES = cpus().length
