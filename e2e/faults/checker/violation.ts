import type { Line } from '../history.ts'

export const CHECKS = {
  C1: 'lost: an acknowledged operation is not in the log',
  C2: 'duplicate: one operation took effect twice',
  C3: 'density: seq or version has a hole or stands twice',
  C4: 'real time: what was acknowledged before something else began comes after it',
  C5: 'reader: what a reader applied skips, repeats or goes back',
  C6: 'agreement: two saw different things at one place',
  C7: 'resurrection: a read shows less than what was acknowledged before it',
  C8: 'authority: something was told to somebody who had been removed',
  C9: 'phantom: the log has what nobody did, or what was refused',
  C10: 'convergence: at rest a reader shows something else than the server',
  C11: 'derived: a count is not what the log says',
  C12: 'tenancy: something of another organization was told',
  C13: 'resources: memory, sockets, connections or rows do not return',
  answers: 'an answer was neither an acknowledgement nor a refusal that may be tried again'
} as const
export type Check = keyof typeof CHECKS

export interface Violation {
  check: Check
  /** A sentence: what, and where. */
  what: string
  /** The lines of the history concerned. */
  lines: Line[]
}

/** Gathers what a check finds. */
export class Findings {
  readonly violations: Violation[] = []

  add(check: Check, what: string, ...lines: (Line | undefined)[]): void {
    this.violations.push({ check, what, lines: lines.filter(line => line !== undefined) })
  }
}

const SHOWN_MAX = 5

/** The findings as text, check by check, the first of each with their lines. */
export function describe(violations: readonly Violation[]): string {
  const parts: string[] = []
  for (const check of Object.keys(CHECKS) as Check[]) {
    const found = violations.filter(violation => violation.check === check)
    if (found.length === 0) continue
    parts.push(`${check} ${CHECKS[check]}: ${found.length}`)
    for (const { what, lines } of found.slice(0, SHOWN_MAX)) {
      parts.push(`  ${what}`, ...lines.map(line => `    ${JSON.stringify(line)}`))
    }
    if (found.length > SHOWN_MAX) parts.push(`  and ${found.length - SHOWN_MAX} more`)
  }
  return parts.join('\n')
}
