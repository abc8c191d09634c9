import { globSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { frames, ROUTES } from '@parley/contracts'
import t from 'tap'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const PAGE = readFileSync(join(ROOT, 'docs/requirements.md'), 'utf8')

const ITEMS = { S0: 115, S1: 105, S2: 90, S3: 111, S4: 112 }
const CONTRADICTIONS = 56
const STATES = ['met', 'partly', 'later', 'replaced', 'host']
/** These two say something of Parley as it is, so they say what, in the row. */
const EXPLAINED = ['partly', 'replaced', 'host']

interface Row {
  item: string
  asked: string
  state: string
  note: string
  places: string[]
  proofs: string[]
}

const cellsOf = (line: string): string[] => Array.from(line.slice(1, -1).split('|'), cell => cell.trim())
const quoted = (cell: string): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, text]) => text!)

function toRow(line: string): Row {
  const [item = '', asked = '', state = '', where = '', proof = '', ...more] = cellsOf(line)
  const [word = '', note = ''] = state.split(/: (.*)/)
  const isWhole = more.length === 0 && [where, proof].every(cell => cell === '–' || quoted(cell).length > 0)
  return { item, asked: isWhole ? asked : '', state: word, note, places: quoted(where), proofs: quoted(proof) }
}

/** Tables, columns (`table.column`), indexes and functions that the migrations make. */
function namesInMigrations(): Set<string> {
  const names = new Set<string>()
  for (const file of globSync('services/*/src/migrations/*.sql', { cwd: ROOT })) {
    const sql = readFileSync(join(ROOT, file), 'utf8')
    for (const [, name] of sql.matchAll(/^create (?:unique )?(?:index|function) (\w+)/gm)) names.add(name!)
    for (const [, table, columns] of sql.matchAll(/^create table (\w+) \(\n(.*?)^\)/gms)) {
      names.add(table!)
      for (const [, column] of columns!.matchAll(/^ {2}(\w+) \w/gm)) names.add(`${table}.${column}`)
    }
    for (const [, table, column] of sql.matchAll(/^alter table (\w+) add column (\w+)/gm)) names.add(`${table}.${column}`)
  }
  return names
}

const KNOWN = new Set([
  ...namesInMigrations(),
  ...Object.values(ROUTES).map(({ method, path }) => `${method} ${path}`),
  ...[...frames.values()].map(({ type }) => type)
])

const isFile = (path: string): boolean =>
  !path.startsWith('/') && !path.includes('..') && statSync(join(ROOT, path), { throwIfNoEntry: false })?.isFile() === true

/** What is wrong with a page of requirements, a sentence each; nothing where it is in order. */
function faultsOf(page: string): string[] {
  const lines = page.split('\n')
  const rows = lines.filter(line => /^\| S\d+\.\d+ \|/.test(line)).map(toRow)
  const faults: string[] = []

  const wanted = Object.entries(ITEMS).flatMap(([source, count]) => Array.from({ length: count }, (_, index) => `${source}.${index + 1}`))
  const items = rows.map(({ item }) => item)
  for (const item of wanted) {
    const found = items.filter(other => other === item).length
    if (found !== 1) faults.push(`${item} has ${found} rows`)
  }
  for (const item of items) if (!wanted.includes(item)) faults.push(`${item} is no item`)

  for (const { item, asked, state, note, places, proofs } of rows) {
    if (asked === '') faults.push(`${item} is not filled in`)
    if (!STATES.includes(state)) faults.push(`${item} has no state: ${state}`)
    else if (EXPLAINED.includes(state) !== (note !== '')) faults.push(`${item} is ${state} and says ${note ? 'too much' : 'no more'}`)
    if (state === 'met' && places.length === 0) faults.push(`${item} is met nowhere`)
    if (state === 'later' && places.length + proofs.length > 0) faults.push(`${item} is later and lives somewhere`)
    for (const place of places) if (!KNOWN.has(place) && !isFile(place)) faults.push(`${item} lives at ${place}, which is not there`)
    for (const proof of proofs) {
      if (!proof.endsWith('.test.ts') || !isFile(proof)) faults.push(`${item} is proved by ${proof}, which is no test file`)
    }
  }

  const sources = Object.keys(ITEMS)
  const counted = (state: string, source: string) =>
    rows.filter(row => (state === 'All' || row.state === state) && (source === 'All' || row.item.startsWith(`${source}.`))).length
  for (const state of [...STATES, 'All']) {
    const found = lines.filter(line => line.startsWith(`| ${state} |`) && /\d/.test(line)).map(line => cellsOf(line).slice(1).map(Number))
    const right = [...sources, 'All'].map(source => counted(state, source))
    if (found.length !== 1 || found[0]!.join() !== right.join()) faults.push(`the numbers of ${state} are ${right.join(', ')}`)
  }

  const contradictions = lines.filter(line => /^\| CR\d+ \|/.test(line)).map(cellsOf)
  for (let number = 1; number <= CONTRADICTIONS; number++) {
    const found = contradictions.filter(([name]) => name === `CR${number}`)
    if (found.length !== 1) faults.push(`CR${number} has ${found.length} rows`)
    for (const cells of found) {
      const [state = '', note = ''] = cells[3]?.split(/: (.*)/) ?? []
      if (cells.length !== 4 || !STATES.includes(state) || EXPLAINED.includes(state) !== (note !== '')) {
        faults.push(`CR${number} has no state: ${cells[3]}`)
      }
    }
  }
  if (contradictions.length > CONTRADICTIONS) faults.push('there are more contradictions than there were')
  return faults
}

t.test('every item has one row that says its state and names only what exists, and the numbers are right', async t => {
  t.same(faultsOf(PAGE), [])
})

t.test('a page that is wrong is found out', async t => {
  const row = /^\| S3\.31 .*$/m.exec(PAGE)![0]
  const changed = (from: string | RegExp, to: string): string => {
    const page = PAGE.replace(from, to)
    t.not(page, PAGE, `${from} is on the page`)
    return page
  }
  const wrong: [page: string, fault: RegExp][] = [
    [changed(`${row}\n`, ''), /S3\.31 has 0 rows/],
    [changed(row, `${row}\n${row}`), /S3\.31 has 2 rows/],
    [changed(row, `${row}\n${row.replace('S3.31', 'S3.112')}`), /S3\.112 is no item/],
    [changed('| partly: ', '| nearly: '), /has no state: nearly/],
    [changed('| partly: ', '| met: '), /is met and says too much/],
    [changed(/\| replaced: [^|]+/, '| replaced '), /is replaced and says no more/],
    [changed('services/gateway/src/door.ts', 'services/gateway/src/gate.ts'), /gateway\/src\/gate\.ts, which is not there/],
    [changed('`messages.content`', '`messages.text`'), /messages\.text, which is not there/],
    [changed('`GET /unread`, `', '`GET /read`, `'), /GET \/read, which is not there/],
    [changed('contracts/test/text.test.ts', 'contracts/test/texts.test.ts'), /texts\.test\.ts, which is no test file/],
    [changed(/^\| later \| \d+/m, '| later | 1'), /the numbers of later are/],
    [changed(/^\| CR20 .*\n/m, ''), /CR20 has 0 rows/]
  ]
  for (const [page, fault] of wrong) t.match(faultsOf(page).join('\n'), fault)
})
