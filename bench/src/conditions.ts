import { readFileSync, statfsSync } from 'node:fs'
import { cpus, loadavg, tmpdir, totalmem } from 'node:os'
import { CORES } from './cpu.ts'
import type { Pinning } from './pinning.ts'
import { POSTGRES_SETTINGS, type Servers } from './servers.ts'

const TMPFS = 0x01021994

/** Under what the figures were measured: printed first, and kept with them. */
export async function readConditions({ database, nats }: Servers, { note }: Pinning): Promise<Record<string, string>> {
  const show = async (name: string) => Object.values((await database.query(`show ${name}`)).rows[0])[0]
  const settings: string[] = []
  for (const name of [...Object.keys(POSTGRES_SETTINGS), 'shared_buffers']) settings.push(`${name} ${await show(name)}`)
  const isInMemory = statfsSync(tmpdir()).type === TMPFS
  return {
    date: new Date().toISOString(),
    machine: `${CORES} cores, ${cpus()[0]?.model.trim() ?? 'unknown CPU'}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${distribution()}`,
    'load average before': loadavg()
      .map(load => load.toFixed(2))
      .join(' '),
    processes: note,
    node: process.version,
    postgresql: `${await show('server_version')} (${settings.join(', ')})`,
    nats: `${nats.info?.version ?? 'unknown'} (JetStream on files, sync_interval always${isOld(nats.info?.version) ? ' is not known to it' : ''})`,
    'data folder': isInMemory ? 'IN MEMORY (tmpfs): flushing costs nothing here, so throughput is too good' : 'on a disk'
  }
}

const isOld = (version = '0.0'): boolean => {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major < 2 || (major === 2 && minor < 10)
}

function distribution(): string {
  try {
    return /^PRETTY_NAME="?([^"\n]+)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? process.platform
  } catch {
    return process.platform
  }
}
