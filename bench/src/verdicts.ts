import type { Row } from './bench.ts'
import type { Target } from './load/protocol.ts'
import { ratioOf, spreadOf, toNumber } from './report.ts'

/** A target, and whether this run reached it. */
export interface Verdict {
  what: string
  wanted: string
  found: string
  isReached: boolean
}

const NAMES: Record<Target, string> = { parley: 'Parley', socketio: 'Socket.IO', broadcast: 'the bare broadcast' }

export function atMostTimes(what: string, row: Row, factor: number, to: Target): Verdict {
  const ratio = ratioOf(row, to)
  return { what, wanted: `at most ${factor} × that of ${NAMES[to]}`, found: `${ratio.toFixed(2)} ×`, isReached: ratio <= factor }
}

export function atLeastTimes(what: string, row: Row, factor: number, to: Target): Verdict {
  const ratio = ratioOf(row, to)
  return {
    what,
    wanted: `at least ${factor} × that of ${NAMES[to]}`,
    found: `${ratio.toFixed(2)} ×`,
    isReached: Number.isFinite(ratio) && ratio >= factor
  }
}

export function atMost(what: string, { values, unit }: Row, limit: number): Verdict {
  const { median } = spreadOf(values.parley)
  return { what, wanted: `at most ${limit} ${unit}`, found: `${toNumber(median)} ${unit}`, isReached: median <= limit }
}

/** An absolute target or a multiple of another one's: either is enough. */
export function atLeastOrTimes(what: string, row: Row, limit: number, factor: number, to: Target): Verdict {
  const { median } = spreadOf(row.values.parley)
  const ratio = ratioOf(row, to)
  return {
    what,
    wanted: `at least ${limit.toLocaleString('en')} ${row.unit}, or ${factor} × that of ${NAMES[to]}`,
    found: `${toNumber(median)}, ${ratio.toFixed(2)} ×`,
    // Of another one that did nothing at all everything is a multiple, which says something of the machine alone.
    isReached: median >= limit || (Number.isFinite(ratio) && ratio >= factor)
  }
}
