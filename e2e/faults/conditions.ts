import { execFileSync } from 'node:child_process'
import { readFileSync, statfsSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, tmpdir, totalmem } from 'node:os'

const TMPFS = 0x01021994

/** On what a run was done: printed with its result, without which the times mean nothing. */
export function readConditions(): Record<string, string> {
  return {
    date: new Date().toISOString().slice(0, 16).replace('T', ' '),
    commit: commit(),
    machine: `${availableParallelism()} cores, ${cpus()[0]?.model.trim() ?? 'unknown CPU'}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${distribution()}`,
    node: process.version,
    'load average before': loadavg()
      .map(load => load.toFixed(1))
      .join(' '),
    'data folder': statfsSync(tmpdir()).type === TMPFS ? 'in memory (tmpfs): flushing costs nothing here' : 'on a disk',
    durability: 'PostgreSQL with fsync and synchronous_commit on'
  }
}

/** What was run; without git, or where something is changed, that is said. */
function commit(): string {
  try {
    const git = (...args: string[]) => execFileSync('git', args, { cwd: import.meta.dirname, encoding: 'utf8', stdio: 'pipe' }).trim()
    return `${git('rev-parse', '--short', 'HEAD')}${git('status', '--porcelain') === '' ? '' : ', with changes'}`
  } catch {
    return 'unknown'
  }
}

function distribution(): string {
  try {
    return /^PRETTY_NAME="?([^"\n]+)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? process.platform
  } catch {
    return process.platform
  }
}
