import { TIME_DIGITS } from './lexemes.ts'
import { quoted } from './query.ts'

/** Hexadecimal digits of the time that begins an id (UUIDv7): milliseconds since 1970. */
const DIGITS = 12
/** What a lexeme of each kind covers, the coarsest first: 50 days down to 17 minutes. */
const UNITS = TIME_DIGITS.map(msOf)
/** What a lexeme of the finest kind covers: 17 minutes. */
export const STEP_MS = msOf(TIME_DIGITS.at(-1)!)

/** The time in an id, in milliseconds. */
export const timeOf = (id: string): number => Number.parseInt(id.replace('-', '').slice(0, DIGITS), 16)

/** The least id of a millisecond: no message has it, all that are written then or later come after it. */
export function firstIdAt(ms: number): string {
  const digits = Math.max(0, ms).toString(16).padStart(DIGITS, '0')
  return `${digits.slice(0, 8)}-${digits.slice(8)}-7000-8000-000000000000`
}

/** The largest stretch of time that one lexeme covers and that is no longer than this; what begins and ends with one has few lexemes. */
export const unitWithin = (ms: number): number => UNITS.find(unit => unit <= ms) ?? STEP_MS

export const isFirstId = (id: string): boolean => id.endsWith('-7000-8000-000000000000')

/**
 * A `tsquery` for all that was written from one step on and before another, in as few lexemes as there are: whole days and
 * months by one, steps at the edges.
 *
 * @param from and `to`: whole multiples of STEP_MS
 */
export function toWindow(from: number, to: number): string {
  const lexemes: string[] = []
  let at = from
  while (at < to) {
    const digits = TIME_DIGITS.find(some => at % msOf(some) === 0 && at + msOf(some) <= to) ?? TIME_DIGITS.at(-1)!
    lexemes.push(quoted(`#${at.toString(16).padStart(DIGITS, '0').slice(0, digits)}`))
    at += msOf(digits)
  }
  return lexemes.join(' | ')
}

function msOf(digits: number): number {
  return 16 ** (DIGITS - digits)
}
