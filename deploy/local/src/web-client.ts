import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { runCommand } from './process.ts'
import { Refusal, ROOT } from './settings.ts'

const WEB = join(ROOT, 'packages/web')

/** Whatever a build depends on; the packages it imports change only with the lockfile, apart from the contracts. */
const SOURCES = ['src', 'public', 'index.html', 'package.json', 'vite.config.ts', '../contracts/src', '../../pnpm-lock.yaml']

export const WEB_ROOT = join(WEB, 'dist')

export function hasWebClient(): boolean {
  return existsSync(join(WEB, 'index.html'))
}

/**
 * Builds the web client if its sources have changed since the last build.
 *
 * @returns whether there was something to do
 */
export async function buildWebClient(): Promise<boolean> {
  const work = join(WEB, 'node_modules/.parley')
  const stampFile = join(work, 'built')
  const stamp = await hashOf(SOURCES.map(source => join(WEB, source)))
  if (existsSync(join(WEB_ROOT, 'index.html')) && existsSync(stampFile) && (await readFile(stampFile, 'utf8')) === stamp) return false

  // Built aside and moved: a gateway that is running never serves half a build, and two builds at once do not mix.
  await mkdir(work, { recursive: true })
  await removeAbandoned(work)
  const fresh = join(work, `dist-${process.pid}`)
  const old = join(work, `old-${process.pid}`)
  const vite = join(dirname(createRequire(join(WEB, 'package.json')).resolve('vite/package.json')), 'bin/vite.js')
  try {
    const built = await runCommand([process.execPath, vite, 'build', '--outDir', fresh, '--emptyOutDir', '--logLevel', 'warn'], {
      cwd: WEB
    })
    if (!built.ok) throw new Refusal(`${built.output.trimEnd()}\n\nthe web client could not be built; above is what was said about it`)
    if (existsSync(WEB_ROOT)) await rename(WEB_ROOT, old)
    await rename(fresh, WEB_ROOT)
    await writeFile(stampFile, stamp)
  } finally {
    for (const folder of [fresh, old]) await rm(folder, { recursive: true, force: true })
  }
  return true
}

/** What a build that was killed has left; its folder is named after its process. */
async function removeAbandoned(work: string): Promise<void> {
  for (const name of await readdir(work)) {
    const pid = /^(?:dist|old)-(\d+)$/.exec(name)?.[1]
    if (pid && !existsSync(`/proc/${pid}`)) await rm(join(work, name), { recursive: true, force: true })
  }
}

async function hashOf(paths: string[]): Promise<string> {
  const hash = createHash('sha256')
  for (const path of paths) {
    if (!existsSync(path)) continue
    for (const file of await filesBelow(path)) hash.update(`${file}\0`).update(await readFile(file))
  }
  return hash.digest('hex')
}

async function filesBelow(path: string): Promise<string[]> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true }).catch(() => undefined)
  if (!entries) return [path]
  return entries
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name))
    .sort()
}
