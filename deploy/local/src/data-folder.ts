import { randomBytes } from 'node:crypto'
import { closeSync, existsSync, openSync } from 'node:fs'
import { access, chmod, constants, copyFile, link, mkdir, readdir, readFile, rename, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Refusal } from './settings.ts'

const MAX_LOG_BYTES = 10 * 1024 * 1024
const LOG_CHECK_MS = 5000

/** How long somebody who is about to end may take: a launcher that was killed, and services that see it gone. */
const PATIENCE_MS = 2000
const STOPPING_PATIENCE_MS = 30_000

/**
 * The folder with everything a running platform writes:
 * `run/<name>.pid`, `run/endpoints.json`, `run/servers.json`, `logs/`, the servers' own folders, and a lock that names its one user.
 */
export class DataFolder {
  readonly path: string
  readonly #logs = new Set<string>()
  #logCheck: NodeJS.Timeout | undefined

  private constructor(path: string) {
    this.path = path
  }

  /**
   * Opens the folder for this process alone, and waits for what a killed launcher left behind to end.
   *
   * @throws Refusal when another launcher uses it
   */
  static async open(path: string): Promise<DataFolder> {
    try {
      for (const folder of ['run', 'logs']) {
        await mkdir(join(path, folder), { recursive: true, mode: 0o700 })
        await access(join(path, folder), constants.W_OK)
      }
    } catch (error) {
      throw new Refusal(`the data folder ${path} cannot be used (${(error as Error).message}): set PARLEY_DATA_DIR to another`)
    }
    const folder = new DataFolder(path)
    await folder.#lock()
    await folder.#untilLeftoversEnd()
    folder.#logCheck = setInterval(() => void folder.#boundLogs(), LOG_CHECK_MS).unref()
    return folder
  }

  /** Tells a launcher that waits for this folder that waiting is worth it. */
  async announceStop(): Promise<void> {
    await writeFile(join(this.path, 'run', 'stopping'), '').catch(() => undefined)
  }

  async close(): Promise<void> {
    clearInterval(this.#logCheck)
    for (const file of ['endpoints.json', 'servers.json', 'stopping', 'lock']) await rm(join(this.path, 'run', file), { force: true })
  }

  file(name: string): string {
    return join(this.path, name)
  }

  async writePid(name: string, pid: number): Promise<void> {
    await replaceFile(this.file(`run/${name}.pid`), `${pid}\n`)
  }

  async removePid(name: string): Promise<void> {
    await rm(this.file(`run/${name}.pid`), { force: true })
  }

  async writeEndpoints(endpoints: { gateway: string[]; ops: Record<string, string> }): Promise<void> {
    await replaceFile(this.file('run/endpoints.json'), `${JSON.stringify(endpoints, null, 2)}\n`)
  }

  /** Where the servers are, for the operator's commands: the database's password is in it. */
  async writeServers(servers: ServerUrls): Promise<void> {
    await replaceFile(this.file('run/servers.json'), `${JSON.stringify(servers, null, 2)}\n`)
  }

  /** The log of a process. Over ten megabytes it begins anew, and the one before is kept as `.1`. */
  logFile(name: string): string {
    const path = this.file(`logs/${name}.log`)
    this.#logs.add(path)
    closeSync(openSync(path, 'a', 0o600))
    return path
  }

  /** A secret that is made on first use and then stays the same. */
  async secret(name: string): Promise<string> {
    const path = this.file(name)
    if (!existsSync(path)) await replaceFile(path, `${randomBytes(48).toString('base64url')}\n`)
    await chmod(path, 0o600)
    return (await readFile(path, 'utf8')).trim()
  }

  async #lock(): Promise<void> {
    const lock = join(this.path, 'run', 'lock')
    const mine = `${lock}.${process.pid}`
    await writeFile(mine, `${process.pid} ${(await startTime(process.pid)) ?? ''}\n`)
    try {
      const askedAt = Date.now()
      for (;;) {
        // A link, unlike a rename, fails when the place is taken.
        const taken = await link(mine, lock).then(
          () => true,
          () => false
        )
        if (taken) return
        const holder = await readFile(lock, 'utf8').catch(() => '')
        const pid = await livingProcess(holder)
        if (pid === undefined) await removeStale(lock, holder)
        const patience = existsSync(join(this.path, 'run', 'stopping')) ? STOPPING_PATIENCE_MS : PATIENCE_MS
        if (pid !== undefined && Date.now() - askedAt > patience) {
          throw new Refusal(`Parley already runs on ${this.path} (process ${pid}): stop it first, or set PARLEY_DATA_DIR to another folder`)
        }
        await delay(100)
      }
    } finally {
      await rm(mine, { force: true })
    }
  }

  /** Services end by themselves when their launcher is gone, and need a moment for the work they have in hand. */
  async #untilLeftoversEnd(): Promise<void> {
    const run = join(this.path, 'run')
    await rm(join(run, 'stopping'), { force: true })
    for (const file of await readdir(run)) {
      if (!file.endsWith('.pid')) continue
      const pid = Number(await readFile(join(run, file), 'utf8'))
      const deadline = Date.now() + STOPPING_PATIENCE_MS / 2
      while (await belongsTo(pid, this.path)) {
        if (Date.now() > deadline) process.kill(pid, 'SIGKILL')
        await delay(100)
      }
      await rm(join(run, file), { force: true })
    }
  }

  async #boundLogs(): Promise<void> {
    for (const path of this.#logs) {
      const { size } = await stat(path).catch(() => ({ size: 0 }))
      if (size <= MAX_LOG_BYTES) continue
      // Its writer keeps the file open for appending, so it is emptied and not moved.
      await copyFile(path, `${path}.1`)
      await truncate(path)
    }
  }
}

export interface ServerUrls {
  database: string
  nats: string
}

/** The servers of the platform that runs on a folder; undefined where none does. */
export async function readServers(path: string): Promise<ServerUrls | undefined> {
  const text = await readFile(join(path, 'run/servers.json'), 'utf8').catch(() => undefined)
  return text === undefined ? undefined : JSON.parse(text)
}

/** The environment by which a process started from this folder is known again, when only its pid is left. */
export function belongingTo(path: string): NodeJS.ProcessEnv {
  return { PARLEY_DATA_DIR: path }
}

async function belongsTo(pid: number, path: string): Promise<boolean> {
  const environ = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')
  const variables = environ.split('\0')
  return variables.includes(`PARLEY_DATA_DIR=${path}`) && variables.some(variable => variable.startsWith('PARLEY_INSTANCE='))
}

async function replaceFile(path: string, content: string): Promise<void> {
  await writeFile(`${path}.new`, content, { mode: 0o600 })
  await rename(`${path}.new`, path)
}

/** Takes a dead process's lock away; if somebody else was quicker and the lock is theirs by now, puts it back. */
async function removeStale(lock: string, holder: string): Promise<void> {
  const aside = `${lock}.stale.${process.pid}`
  const moved = await rename(lock, aside).then(
    () => true,
    () => false
  )
  if (!moved) return
  if ((await readFile(aside, 'utf8')) !== holder) await link(aside, lock).catch(() => undefined)
  await rm(aside, { force: true })
}

/** The pid in a lock, if that process lives and is not a later one with the same number. */
async function livingProcess(holder: string): Promise<number | undefined> {
  const [pid, startedAt] = holder.trim().split(' ')
  if (!pid) return undefined
  try {
    process.kill(Number(pid), 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return undefined
  }
  if (process.platform === 'linux' && (await startTime(Number(pid))) !== startedAt) return undefined
  return Number(pid)
}

/** When a process started, in ticks since boot; undefined for one that is dead, even when nobody has reaped it. */
async function startTime(pid: number): Promise<string | undefined> {
  const line = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  // The name in parentheses may hold spaces; state is the first field after it, the start time the twentieth.
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ')
  return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19]
}
