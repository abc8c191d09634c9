import { existsSync } from 'node:fs'
import { access, constants, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { findOnPath, runCommand } from './process.ts'

/** A server that is not in the package registry, and where Debian keeps it. */
export interface Program {
  command: string
  minVersion: string
  /** Debian releases to take it from, best first; any of them runs on Debian 12 and newer. */
  releases: string[]
  packages: string[]
  /** Libraries that nearly every system has; fetched as well where the server does not run without. */
  oftenPresent: string[]
  insteadSet: string
}

export const NATS: Program = {
  command: 'nats-server',
  minVersion: '2.9',
  releases: ['trixie', 'bookworm'],
  packages: ['nats-server'],
  oftenPresent: [],
  insteadSet: 'NATS_URL'
}

export const REDIS: Program = {
  command: 'redis-server',
  minVersion: '6.2',
  releases: ['bookworm'],
  // redis-server's binary is a link to one in redis-tools.
  packages: ['redis-server', 'redis-tools', 'liblzf1', 'libjemalloc2'],
  oftenPresent: ['libssl3', 'libatomic1', 'libsystemd0', 'liblzma5', 'libzstd1', 'liblz4-1', 'libcap2', 'libgcrypt20', 'libgpg-error0'],
  insteadSet: 'REDIS_URL'
}

export interface FoundProgram {
  path: string
  version: string
  /** What it needs in its environment to find its libraries. */
  env: NodeJS.ProcessEnv
}

/**
 * Finds a server on the PATH, else in the cache that all clones of a user share, else fetches it from the
 * system's Debian mirror. That needs no root: apt works on lists of its own here, and dpkg only unpacks.
 *
 * @param fallbackDir where it is kept when the cache cannot be written
 * @throws with what is missing and what to do about it, in one sentence
 */
export async function findProgram(program: Program, fallbackDir: string): Promise<FoundProgram> {
  const installed = findOnPath(program.command) ?? [`/usr/sbin/${program.command}`].find(existsSync)
  const usable = installed && (await tryProgram(program, installed, {}))
  if (usable) return usable

  const cache = await cacheFolder(fallbackDir)
  const folder = join(cache, program.command)
  const cached = await tryUnpacked(program, folder)
  if (cached) return cached

  // Unpacked beside its place and then renamed: of two processes that do this at once the second finds the place taken.
  const unpacked = await mkdtemp(join(cache, `.${program.command}-`))
  try {
    await fetchProgram(program, unpacked)
    await rm(join(unpacked, 'apt'), { recursive: true, force: true })
    if (!(await tryUnpacked(program, folder))) await rm(folder, { recursive: true, force: true })
    await rename(unpacked, folder).catch(error => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
    })
  } finally {
    await rm(unpacked, { recursive: true, force: true })
  }
  const fetched = await tryUnpacked(program, folder)
  if (!fetched) throw missing(program, `the copy in ${folder} does not run`)
  return fetched
}

/** Tells whether a dotted version is the wanted one or newer. */
export function isAtLeast(version: string, wanted: string): boolean {
  const have = version.split('.').map(Number)
  for (const [index, part] of wanted.split('.').map(Number).entries()) {
    const difference = (have[index] ?? 0) - part
    if (difference !== 0) return difference > 0
  }
  return true
}

async function tryProgram({ command, minVersion }: Program, path: string, env: NodeJS.ProcessEnv): Promise<FoundProgram | undefined> {
  const { ok, output } = await runCommand([path, '--version'], { env, cwd: '/' })
  // "nats-server: v2.10.27" and "Redis server v=7.0.15 sha=…"
  const version = /v=?(\d+\.\d+\.\d+)/.exec(output)?.[1]
  if (!ok || !version || !isAtLeast(version, minVersion)) return undefined
  return { path, version, env: command === 'redis-server' ? env : {} }
}

async function tryUnpacked(program: Program, folder: string): Promise<FoundProgram | undefined> {
  const path = [`usr/sbin/${program.command}`, `usr/bin/${program.command}`].map(file => join(folder, file)).find(existsSync)
  if (!path) return undefined
  const libraries = (await Promise.all([join(folder, 'usr/lib'), join(folder, 'lib')].map(libraryFolders))).flat()
  return tryProgram(program, path, { LD_LIBRARY_PATH: libraries.join(':') })
}

/** The folders named after the architecture, such as usr/lib/x86_64-linux-gnu. */
async function libraryFolders(parent: string): Promise<string[]> {
  if (!existsSync(parent)) return []
  return (await readdir(parent)).filter(name => name.includes('-linux-')).map(name => join(parent, name))
}

/** The user's cache, or the fallback where that is closed to us or belongs to somebody whose programs we must not run. */
export async function cacheFolder(fallbackDir: string): Promise<string> {
  const { version } = createRequire(import.meta.url)('../package.json') as { version: string }
  const root = process.env.XDG_CACHE_HOME || join(homedir(), '.cache')
  const folder = join(root, 'parley', version)
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    await access(folder, constants.W_OK)
    const { uid, mode } = await stat(folder)
    if (uid === process.getuid?.() && (mode & 0o022) === 0) return folder
  } catch {
    // Falls through: a home that is read-only or not there is no fault.
  }
  const programs = join(resolve(fallbackDir), 'programs')
  await mkdir(programs, { recursive: true, mode: 0o700 })
  return programs
}

async function fetchProgram(program: Program, folder: string): Promise<void> {
  if (!findOnPath('apt-get') || !findOnPath('dpkg')) throw missing(program, 'this system has no apt to fetch it with')
  let reason = ''
  for (const release of await releasesToTry(program)) {
    for (const packages of [program.packages, [...program.packages, ...program.oftenPresent]]) {
      reason = await downloadAndUnpack(release, packages, folder)
      if (reason === '' && (await tryUnpacked(program, folder))) return
      if (reason !== '') break
    }
  }
  throw missing(program, reason || 'what the Debian mirror serves does not run here')
}

/** Debian's own names on Debian; elsewhere (undefined) whatever the system's sources have. */
async function releasesToTry({ releases }: Program): Promise<(string | undefined)[]> {
  const osRelease = await readFile('/etc/os-release', 'utf8').catch(() => '')
  return /^ID="?debian"?$/m.test(osRelease) ? releases : [undefined]
}

/** @returns why it failed, in a few words, or an empty string */
async function downloadAndUnpack(release: string | undefined, packages: string[], folder: string): Promise<string> {
  const apt = join(folder, 'apt')
  await rm(apt, { recursive: true, force: true })
  for (const path of ['lists/partial', 'cache/archives/partial', 'debs']) await mkdir(join(apt, path), { recursive: true })
  // The system's lists may be missing or old, and only root may refresh them; dpkg's status plays no part in a download.
  const options = [`Dir::State::lists=${join(apt, 'lists')}`, `Dir::Cache=${join(apt, 'cache')}`, 'Dir::State::status=/dev/null']
  options.push('Debug::NoLocking=1', 'APT::Sandbox::User=', 'Acquire::Retries=1', 'Acquire::http::Timeout=20', 'Acquire::Languages=none')
  if (release) {
    const mirror = await findMirror()
    if (!mirror) return "no Debian mirror is named in apt's sources"
    const sources = join(apt, 'release.sources')
    const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg'
    const signedBy = existsSync(keyring) ? `Signed-By: ${keyring}\n` : ''
    await writeFile(sources, `Types: deb\nURIs: ${mirror}\nSuites: ${release}\nComponents: main\n${signedBy}`)
    options.push(`Dir::Etc::sourcelist=${sources}`, 'Dir::Etc::sourceparts=-')
  }
  const flags = options.flatMap(option => ['-o', option])
  const env = { LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' }
  // Update's exit code is not asked: one source that is away matters only if the download then fails.
  await runCommand(['apt-get', ...flags, '-q', 'update'], { env, cwd: apt })
  const download = await runCommand(['apt-get', ...flags, '-q', 'download', ...packages], { env, cwd: join(apt, 'debs') })
  if (!download.ok) return `${release ?? 'the configured mirror'} could not be reached or does not have it`
  for (const file of await readdir(join(apt, 'debs'))) {
    const unpacked = await runCommand(['dpkg', '-x', join(apt, 'debs', file), folder])
    if (!unpacked.ok) return `${file} could not be unpacked`
  }
  return ''
}

/** The mirror of the system's own release, as apt itself reads its configuration. */
async function findMirror(): Promise<string | undefined> {
  const { output } = await runCommand(['apt-get', 'indextargets', '--format', '$(REPO_URI) $(RELEASE) $(COMPONENT)'], {
    env: { LC_ALL: 'C' }
  })
  const codename = /^VERSION_CODENAME="?(\w+)"?$/m.exec(await readFile('/etc/os-release', 'utf8'))?.[1]
  const sources = output.split('\n').map(line => line.split(' '))
  return sources.find(([, release, component]) => release === codename && component === 'main')?.[0]
}

function missing({ command, minVersion, insteadSet }: Program, reason: string): Error {
  return new Error(
    `${command} ${minVersion} or newer is missing (${reason}): install it (apt-get install ${command}), or set ${insteadSet} to a server of yours`
  )
}
