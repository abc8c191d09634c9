import { execFile } from 'node:child_process'
import { access, constants, mkdir, mkdtemp, readFile, rename, rm, stat } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { type Browser, chromium } from 'playwright-core'

const run = promisify(execFile)
const NAMES = ['chromium', 'chromium-browser', 'google-chrome']
const PACKAGE = '@sparticuz/chromium'

interface Program {
  path: string
  env: Record<string, string>
}

let found: Promise<Program> | undefined

/**
 * Starts a browser without a window. It is the one named by `CHROMIUM_PATH`, else one on the PATH, else the one that
 * a package of the registry carries, which needs neither root nor a library of the system but the C library.
 */
export async function launchBrowser(t: { teardown(close: () => unknown): void }): Promise<Browser> {
  found ??= findChromium()
  const { path, env } = await found
  // No sandbox: root cannot have one, and the only pages it opens are our own.
  const browser = await chromium.launch({
    executablePath: path,
    args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
    env: { ...definedEnv(), ...env }
  })
  t.teardown(() => browser.close())
  return browser
}

async function findChromium(): Promise<Program> {
  if (process.env.CHROMIUM_PATH) return { path: process.env.CHROMIUM_PATH, env: {} }
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    for (const name of NAMES) if (await isExecutable(join(folder, name))) return { path: join(folder, name), env: {} }
  }
  return carried()
}

/** The package's files are compressed; they are unpacked once and kept with what else the tests fetch. */
async function carried(): Promise<Program> {
  const home = new URL('..', import.meta.resolve(PACKAGE))
  const { version } = JSON.parse(await readFile(new URL('package.json', home), 'utf8')) as { version: string }
  const cache = await cacheFolder()
  const folder = join(cache, `chromium-${version}`)
  if (!(await isExecutable(join(folder, 'chromium')))) await unpack(fileURLToPath(new URL('bin', home)), cache, folder)
  return withLibraries(folder)
}

/** Unpacked beside its place and then renamed, so two test files that do it at once do not meet half a browser. */
async function unpack(packed: string, cache: string, folder: string): Promise<void> {
  const beside = await mkdtemp(join(cache, '.chromium-'))
  try {
    // In a process of its own, since the package unpacks into the folder that TMPDIR names.
    const script = `import { inflate } from '${PACKAGE}'; await Promise.all(process.argv.slice(1).map(inflate))`
    const files = ['chromium.br', 'fonts.tar.br', 'al2023.tar.br'].map(name => join(packed, name))
    await run(process.execPath, ['--input-type=module', '-e', script, ...files], {
      cwd: fileURLToPath(new URL('..', import.meta.url)),
      env: { PATH: process.env.PATH, TMPDIR: beside }
    })
    await rename(beside, folder).catch(error => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
    })
  } finally {
    await rm(beside, { recursive: true, force: true })
  }
}

/** The system's own libraries and fonts where it has them, else those that came with the browser. */
async function withLibraries(folder: string): Promise<Program> {
  const path = join(folder, 'chromium')
  const fonts: Record<string, string> = (await isThere('/etc/fonts/fonts.conf')) ? {} : { FONTCONFIG_PATH: join(folder, 'fonts') }
  for (const env of [fonts, { ...fonts, LD_LIBRARY_PATH: join(folder, 'al2023/lib') }]) {
    const runs = await run(path, ['--version'], { env: { ...definedEnv(), ...env } }).then(
      () => true,
      () => false
    )
    if (runs) return { path, env }
  }
  throw new Error(`the browser of ${PACKAGE} does not run here (${process.arch}): name one with CHROMIUM_PATH`)
}

async function cacheFolder(): Promise<string> {
  const folder = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'parley')
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    await access(folder, constants.W_OK)
    // What is run from here was put here by this user.
    const { uid, mode } = await stat(folder)
    if (uid === process.getuid?.() && (mode & 0o022) === 0) return folder
  } catch {
    // A home that is read-only or not there is no fault.
  }
  const folderOfRun = join(tmpdir(), 'parley-browser')
  await mkdir(folderOfRun, { recursive: true, mode: 0o700 })
  if ((await stat(folderOfRun)).uid !== process.getuid?.()) throw new Error(`${folderOfRun} belongs to somebody else`)
  return folderOfRun
}

function definedEnv(): Record<string, string> {
  return Object.fromEntries(Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined))
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false
  )
}

function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false
  )
}
