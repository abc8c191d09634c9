import { Findings, type Violation } from './violation.ts'

/** What one process, or the database, holds at a moment. */
export interface Sample {
  /** Which: gateway-1, postgres. */
  name: string
  /** By what is counted; a count that could not be taken is absent. */
  counts: Record<string, number>
}

/** How far above its baseline a count may end. */
export const ALLOWED: Readonly<Record<string, number>> = {
  // A store's heap grows to its working size within the first thousands of operations: by 142 MB after 7,600 and 14,300 alike.
  rss_bytes: 192 * 1024 * 1024,
  fds: 16,
  sockets: 0,
  conversations_followed: 0,
  sends_in_hand: 0,
  outbox_rows: 0,
  idle_in_transaction: 0,
  connections: 28
}

/** C13: what was held during a load is given back after it. */
export function checkResources(before: readonly Sample[], after: readonly Sample[]): Violation[] {
  const findings = new Findings()
  for (const { name, counts } of before) {
    const ended = after.find(sample => sample.name === name)
    if (!ended) {
      findings.add('C13', `${name} is not there any more`)
      continue
    }
    for (const [what, baseline] of Object.entries(counts)) {
      const count = ended.counts[what]
      if (count === undefined) findings.add('C13', `${name}: ${what} could not be counted`)
      else if (count > baseline + (ALLOWED[what] ?? 0)) findings.add('C13', `${name}: ${what} was ${baseline} and ends at ${count}`)
    }
  }
  return findings.violations
}
