import type { Row } from './bench.ts'

/** A load generator that is busier than this may be what is measured. */
const BUSY_SHARE = 0.9
const HEAD = ['', 'Parley', 'bare ws broadcast, no store', 'ratio', 'load gen.']

export interface Spread {
  median: number
  min: number
  max: number
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  const median = sorted.length % 2 === 1 ? sorted[Math.floor(middle)]! : (sorted[middle - 1]! + sorted[middle]!) / 2
  return { median, min: sorted[0]!, max: sorted.at(-1)! }
}

/** Medians of the rounds with their range, and Parley's median as a multiple of the baseline's. */
export function toJson({ what, unit, parley, baseline, loadShare }: Row) {
  return {
    what: what.trim(),
    unit,
    parley: { ...spreadOf(parley), rounds: parley },
    ...(baseline.length > 0 && {
      baseline: { ...spreadOf(baseline), rounds: baseline },
      ratio: spreadOf(parley).median / spreadOf(baseline).median
    }),
    load_generator_share: loadShare,
    load_generator_was_full: loadShare > BUSY_SHARE
  }
}

export function toTable(rows: readonly Row[]): string {
  const lines = [HEAD, ...rows.map(toCells)]
  const widths = HEAD.map((_, column) => Math.max(...lines.map(cells => cells[column]!.length)))
  const text = lines.map(cells =>
    cells
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join('  ')
      .trimEnd()
  )
  const rule = '─'.repeat(Math.max(...text.map(line => line.length)))
  const isFull = rows.some(({ loadShare }) => loadShare > BUSY_SHARE)
  const note = isFull ? ['! the load generator used more than 90 % of its core: the server may have had more to give'] : []
  return [text[0], rule, ...text.slice(1), rule, ...note].join('\n')
}

function toCells({ what, unit, parley, baseline, loadShare }: Row): string[] {
  const multiple = baseline.length === 0 ? Number.NaN : spreadOf(parley).median / spreadOf(baseline).median
  const ratio = Number.isFinite(multiple) ? multiple.toFixed(2) : ''
  const share = loadShare === 0 ? '' : `${Math.round(loadShare * 100)} %${loadShare > BUSY_SHARE ? ' !' : ''}`
  return [`${what} (${unit})`, toText(parley), baseline.length === 0 ? '–' : toText(baseline), ratio, share]
}

function toText(values: readonly number[]): string {
  const { median, min, max } = spreadOf(values)
  return values.length === 1 ? toNumber(median) : `${toNumber(median)} (${toNumber(min)}–${toNumber(max)})`
}

/** Three digits that mean something, or all before the point. */
function toNumber(value: number): string {
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en')
  return value.toFixed(Math.abs(value) >= 10 ? 1 : 2)
}
