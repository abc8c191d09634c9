import { readFile, rename, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { Check } from './checker/violation.ts'
import type { CaseResult } from './run-case.ts'

export interface ControlResult {
  /** What was broken, and how. */
  title: string
  /** The checks that must find it. */
  wanted: readonly Check[]
  /** What was found, by check. */
  found: ReadonlyMap<Check, number>
  /** Why it could not be tried, where it could not. */
  failure?: string
  seconds: number
}

export const isCaught = ({ wanted, found, failure }: ControlResult): boolean =>
  failure === undefined && wanted.some(check => (found.get(check) ?? 0) > 0)

export const isClean = ({ violations, failures }: CaseResult): boolean => violations.length + failures.length === 0

const PAGE = fileURLToPath(new URL('../../docs/reliability.md', import.meta.url))
const BEGIN = '<!-- faults: written by npm run faults -->'
const END = '<!-- faults: end -->'

export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN
}

const seconds = (ms: number): string => (!Number.isFinite(ms) ? '–' : `${(ms / 1_000).toFixed(2)} s`)
const whole = (count: number): string => count.toLocaleString('en')

function count({ violations }: CaseResult, checks: readonly Check[]): number {
  return violations.filter(({ check }) => checks.includes(check)).length
}

const LOST: readonly Check[] = ['C1']
const DOUBLED: readonly Check[] = ['C2']
const ORDER: readonly Check[] = ['C3', 'C4', 'C5']

/** The table of the cases, in Markdown. */
export function casesTable(results: readonly CaseResult[]): string {
  const rows = results.map(result => {
    const first = result.recoveries.map(({ firstAckMs }) => firstAckMs)
    const all = result.recoveries.map(({ allBackMs }) => allBackMs)
    const other = result.violations.length - count(result, [...LOST, ...DOUBLED, ...ORDER]) + result.failures.length
    return [
      `${result.id}: ${result.title}`,
      whole(result.faults),
      whole(result.kills),
      whole(result.acknowledged),
      whole(count(result, LOST)),
      whole(count(result, DOUBLED)),
      whole(count(result, ORDER)),
      whole(other),
      `${seconds(quantile(first, 0.5))} / ${seconds(Math.max(...first))}`,
      `${seconds(quantile(all, 0.5))} / ${seconds(Math.max(...all))}`,
      [...result.measured].map(([name, value]) => `${name}: ${value}`).join('; ') || '–'
    ]
  })
  const sum = (of: (result: CaseResult) => number) => whole(results.reduce((total, result) => total + of(result), 0))
  const total = [
    '**all**',
    sum(({ faults }) => faults),
    sum(({ kills }) => kills),
    sum(({ acknowledged }) => acknowledged),
    sum(result => count(result, LOST)),
    sum(result => count(result, DOUBLED)),
    sum(result => count(result, ORDER)),
    sum(result => result.violations.length - count(result, [...LOST, ...DOUBLED, ...ORDER]) + result.failures.length),
    '',
    '',
    ''
  ]
  const head = [
    'case',
    'faults',
    'processes killed',
    'acknowledged operations',
    'lost',
    'doubled',
    'out of order',
    'other findings',
    'first acknowledgement, p50 / max',
    'everyone back, p50 / max',
    'measured beside'
  ]
  return table([head, ...rows, total])
}

export function controlsTable(results: readonly ControlResult[]): string {
  const rows = results.map(result => [
    result.title,
    result.wanted.join(' or '),
    [...result.found].map(([check, times]) => `${check}: ${whole(times)}`).join(', ') || result.failure || 'nothing',
    isCaught(result) ? 'caught' : '**NOT CAUGHT**'
  ])
  return table([['what is broken', 'must be found by', 'found', ''], ...rows])
}

function table([head, ...rows]: string[][]): string {
  return [head!, head!.map(() => '---'), ...rows].map(cells => `| ${cells.join(' | ')} |`).join('\n')
}

/** Puts a result into docs/reliability.md, between its markers. */
export async function writePage(text: string): Promise<void> {
  const page = await readFile(PAGE, 'utf8')
  const from = page.indexOf(BEGIN)
  const to = page.indexOf(END)
  if (from === -1 || to < from) throw new Error(`docs/reliability.md has no place for the result: ${BEGIN} and ${END}`)
  // Whoever ends this in between finds the page as it was.
  await writeFile(`${PAGE}.new`, `${page.slice(0, from + BEGIN.length)}\n${text}\n${page.slice(to)}`)
  await rename(`${PAGE}.new`, PAGE)
}
