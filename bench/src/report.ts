import type { GrowthRow, Row } from './bench.ts'
import { TARGETS, type Target } from './load/protocol.ts'
import type { Verdict } from './verdicts.ts'

/** A load generator that is busier than this may be what is measured. */
const BUSY_SHARE = 0.9
const HEAD = ['', 'Parley', 'Socket.IO', 'bare ws', 'to Socket.IO', 'to bare ws', 'load gen.']

export interface Spread {
  median: number
  min: number
  max: number
}

export function spreadOf(values: readonly number[]): Spread {
  if (values.length === 0) return { median: Number.NaN, min: Number.NaN, max: Number.NaN }
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  const median = sorted.length % 2 === 1 ? sorted[Math.floor(middle)]! : (sorted[middle - 1]! + sorted[middle]!) / 2
  return { median, min: sorted[0]!, max: sorted.at(-1)! }
}

/** Parley's median as a multiple of another target's. */
export const ratioOf = ({ values }: Row, to: Target): number => spreadOf(values.parley).median / spreadOf(values[to]).median

/** Medians of the rounds with their range, and Parley's median as a multiple of the others'. */
export function toJson(row: Row) {
  const { what, unit, values, loadShare } = row
  const present = TARGETS.filter(target => values[target].length > 0)
  return {
    what: what.trim(),
    unit,
    ...Object.fromEntries(present.map(target => [target, { ...spreadOf(values[target]), rounds: values[target] }])),
    ratios: Object.fromEntries(present.filter(target => target !== 'parley').map(target => [target, ratioOf(row, target)])),
    load_generator_share: loadShare,
    load_generator_was_full: loadShare > BUSY_SHARE
  }
}

export function toTable(rows: readonly Row[]): string {
  const isFull = rows.some(({ loadShare }) => loadShare > BUSY_SHARE)
  const note = isFull ? '\n! the load generator used more than 90 % of its core: the server may have had more to give' : ''
  return `${layOut([HEAD, ...rows.map(toCells)])}${note}`
}

function toCells(row: Row): string[] {
  const { what, unit, values, loadShare } = row
  const ratio = (to: 'socketio' | 'broadcast') => {
    const multiple = ratioOf(row, to)
    return Number.isFinite(multiple) ? multiple.toFixed(2) : ''
  }
  const share = loadShare === 0 ? '' : `${Math.round(loadShare * 100)} %${loadShare > BUSY_SHARE ? ' !' : ''}`
  return [`${what} (${unit})`, ...TARGETS.map(target => toText(values[target])), ratio('socketio'), ratio('broadcast'), share]
}

export function toVerdictTable(verdicts: readonly Verdict[]): string {
  const cells = verdicts.map(({ what, wanted, found, isReached }) => [what, wanted, found, isReached ? 'reached' : 'MISSED'])
  return layOut([['target', 'wanted', 'found', ''], ...cells])
}

/** p95 beside that of the database that stays small, which was asked in the same minute. */
export function toGrowthTable(growth: readonly GrowthRow[]): string {
  const cells = growth.map(({ what, rows, p50, p95, control }) => [
    what,
    rows.toLocaleString('en'),
    `${toNumber(p50)} / ${toNumber(p95)}`,
    `${toNumber(control.p50)} / ${toNumber(control.p95)}`,
    (p50 / control.p50).toFixed(2),
    (p95 / control.p95).toFixed(2)
  ])
  return layOut([['p50 / p95 in ms', 'messages', 'grown', 'small, beside it', 'ratio p50', 'ratio p95'], ...cells])
}

/** The first column to the left, the others to the right, a rule below the head and at the end. */
function layOut(lines: readonly string[][]): string {
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map(cells => cells[column]!.length)))
  const text = lines.map(cells =>
    cells
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join('  ')
      .trimEnd()
  )
  const rule = '─'.repeat(Math.max(...text.map(line => line.length)))
  return [text[0], rule, ...text.slice(1), rule].join('\n')
}

function toText(values: readonly number[]): string {
  if (values.length === 0) return '–'
  const { median, min, max } = spreadOf(values)
  return values.length === 1 ? toNumber(median) : `${toNumber(median)} (${toNumber(min)}–${toNumber(max)})`
}

/** Three digits that mean something, or all before the point. */
export function toNumber(value: number): string {
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en')
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2)
}
