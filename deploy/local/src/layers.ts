import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { dirname, join, relative, resolve } from 'node:path'

/** Folders whose packages are checked, and whether their place in the layers is given. */
const WORKSPACE = ['packages', 'services']

/** A service from the top down. A folder with one file is a file, so `rules/` and `rules.ts` are the same. */
const LEVELS = [
  ['main', 'migrate', 'republish', 'index'],
  ['app'],
  ['routes', 'socket', 'endpoints', 'consumers', 'listeners', 'jobs', 'plugins', 'send'],
  ['queries', 'rules', 'storage', 'migrations'],
  ['db']
]

interface Package {
  name: string
  folder: string
  kind: 'contracts' | 'kit' | 'test-kit' | 'client' | 'service'
  dependencies: string[]
  devDependencies: string[]
  exports: string[]
}

/**
 * Checks which way imports point: between packages by their lists and their imports, inside a service by its folders.
 *
 * @returns a sentence for each edge that points the wrong way, none when all is well
 */
export async function findWrongEdges(root: string): Promise<string[]> {
  const packages = await readPackages(root)
  const wrong = await Promise.all(
    packages.map(async one => {
      const files = await readSources(join(one.folder, 'src'))
      const tests = await readSources(join(one.folder, 'test'))
      return [
        ...wrongDependencies(one),
        ...wrongImports(one, packages, files, false),
        ...wrongImports(one, packages, tests, true),
        ...(one.kind === 'service' ? wrongLevels(join(one.folder, 'src'), files) : [])
      ]
    })
  )
  return wrong.flat().map(sentence => sentence.replaceAll(`${root}/`, ''))
}

async function readPackages(root: string): Promise<Package[]> {
  const packages: Package[] = []
  for (const group of WORKSPACE) {
    const parent = join(root, group)
    for (const entry of existsSync(parent) ? (await readdir(parent)).sort() : []) {
      const folder = join(parent, entry)
      if (!existsSync(join(folder, 'package.json'))) continue
      const { name, dependencies, devDependencies, exports } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'))
      packages.push({
        name,
        folder,
        kind: kindOf(group, entry),
        dependencies: Object.keys(dependencies ?? {}),
        devDependencies: Object.keys(devDependencies ?? {}),
        exports: typeof exports === 'object' ? Object.keys(exports) : ['.']
      })
    }
  }
  return packages
}

function kindOf(group: string, folder: string): Package['kind'] {
  if (group === 'services') return 'service'
  if (folder === 'contracts' || folder === 'test-kit') return folder
  return folder.endsWith('-kit') ? 'kit' : 'client'
}

/** @returns what is wrong with it, or undefined when this kind of package may use that one */
function objection({ kind, name }: Package, dependency: string, isForTests: boolean): string | undefined {
  const isOurs = dependency.startsWith('@parley/')
  const isKit = dependency.endsWith('-kit')
  if (dependency === name) return undefined
  if (isForTests && dependency === '@parley/test-kit') return undefined
  if (kind === 'contracts') return isForTests || dependency === '@sinclair/typebox' ? undefined : 'contracts import typebox alone'
  if (!isOurs || dependency === '@parley/contracts' || kind === 'test-kit') return undefined
  // What two kits promise each other without knowing each other is shown by a test that has both.
  if (kind === 'kit' && isKit && isForTests) return undefined
  if (kind === 'kit') return isKit ? 'a kit imports no other kit' : 'a kit imports contracts and a library'
  if (kind === 'client') return dependency === '@parley/client' ? undefined : 'a client imports contracts alone'
  if (dependency === '@parley/test-kit') return 'only tests import the test kit'
  return isKit ? undefined : 'a service imports contracts and kits alone'
}

function wrongDependencies(one: Package): string[] {
  const check = (names: string[], isForTests: boolean) =>
    names.flatMap(name => {
      const reason = objection(one, name, isForTests)
      return reason ? [`${one.folder}/package.json lists ${name}: ${reason}`] : []
    })
  return [...check(one.dependencies, false), ...check(one.devDependencies, true)]
}

interface Source {
  file: string
  imports: string[]
}

function wrongImports(one: Package, packages: Package[], sources: Source[], isForTests: boolean): string[] {
  return sources.flatMap(({ file, imports }) =>
    imports.flatMap(specifier => {
      const reason = wrongImport(one, packages, file, specifier, isForTests)
      return reason ? [`${file} imports ${specifier}: ${reason}`] : []
    })
  )
}

function wrongImport(one: Package, packages: Package[], file: string, specifier: string, isForTests: boolean): string | undefined {
  if (specifier.startsWith('.')) {
    const target = resolve(dirname(file), specifier)
    return target.startsWith(`${one.folder}/`) ? undefined : 'a package is imported by its name'
  }
  const [, ours, path] = /^(@parley\/[^/]+)(?:\/(.+))?$/.exec(specifier) ?? []
  if (ours && path) {
    const offered = packages.find(({ name }) => name === ours)?.exports ?? []
    if (!offered.includes(`./${path}`)) return "nobody imports past a package's index"
  }
  if (ours) return objection(one, ours, isForTests)
  const isBuiltIn = specifier.startsWith('node:')
  const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')
  if (one.kind === 'contracts' && !isForTests && !isBuiltIn) return objection(one, name, isForTests)
  return undefined
}

/** Follows imports through files that have no level of their own, so that none of them can carry an edge upwards. */
function wrongLevels(src: string, sources: Source[]): string[] {
  const importsOf = new Map(
    sources.map(({ file, imports }) => [file, imports.filter(name => name.startsWith('.')).map(name => resolve(dirname(file), name))])
  )
  return sources.flatMap(({ file }) => {
    const level = levelOf(src, file)
    if (level === undefined) return []
    const wrong: string[] = []
    const seen = new Set<string>()
    const open = [...(importsOf.get(file) ?? [])]
    for (let target = open.pop(); target !== undefined; target = open.pop()) {
      if (seen.has(target)) continue
      seen.add(target)
      const targetLevel = levelOf(src, target)
      if (targetLevel === undefined) open.push(...(importsOf.get(target) ?? []))
      else if (targetLevel < level) wrong.push(`${file} reaches ${relative(src, target)}: inside a service imports point downwards`)
    }
    return wrong
  })
}

function levelOf(src: string, file: string): number | undefined {
  const first = relative(src, file).split('/')[0]!.replace(/\.ts$/, '')
  const level = LEVELS.findIndex(names => names.includes(first))
  return level === -1 ? undefined : level
}

async function readSources(folder: string): Promise<Source[]> {
  if (!existsSync(folder)) return []
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries
    .filter(entry => entry.isFile() && /\.(ts|mjs|vue)$/.test(entry.name))
    .map(entry => join(entry.parentPath, entry.name))
  return Promise.all(files.sort().map(async file => ({ file, imports: importsIn(await readFile(file, 'utf8')) })))
}

function importsIn(source: string): string[] {
  const code = source.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/^\s*\/\/.*$/gm, '')
  const found = code.matchAll(/(?:^|[\s;}])(?:import|export)\b[^'"`;()]*?\bfrom\s*['"]([^'"]+)['"]|\bimport\s*\(?\s*['"]([^'"]+)['"]/g)
  return [...found].map(([, from, bare]) => (from ?? bare)!)
}
