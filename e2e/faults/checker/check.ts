import type { Actor, Cast, Line } from '../history.ts'
import { checkDerived } from './derived.ts'
import type { Final, FinalMessage } from './final.ts'
import { checkLog } from './log.ts'
import { type Operation, operationsOf } from './operations.ts'
import { checkDensity, checkRealTime } from './order.ts'
import { checkAgreement, checkReaders } from './readers.ts'
import { checkAnswers, checkAuthority, checkReads, checkTenancy } from './reads.ts'
import { Findings, type Violation } from './violation.ts'

export interface Bounds {
  /** How long after an acknowledged removal its person may still be told something. */
  authorityMs: number
  /** Codes of refusals for good that a case expects. */
  refusals: readonly string[]
}

export const USUAL_BOUNDS: Bounds = { authorityMs: 5_000, refusals: [] }

/** Everything that checks look at, put in order once. */
export interface Context {
  lines: readonly Line[]
  final: Final
  cast: Cast
  bounds: Bounds
  actorOf: ReadonlyMap<string, Actor>
  operations: ReadonlyMap<string, Operation>
  /** In the order of seq. */
  rowsByConversation: ReadonlyMap<string, FinalMessage[]>
  rowsById: ReadonlyMap<string, FinalMessage>
}

/** Holds a history and the state that it ended in against what Parley promises. Pure, and linear but for sorting. */
export function check(lines: readonly Line[], final: Final, cast: Cast, bounds: Partial<Bounds> = {}): Violation[] {
  const rowsByConversation = new Map<string, FinalMessage[]>()
  for (const row of final.messages) {
    const rows = rowsByConversation.get(row.conversation_id)
    if (rows) rows.push(row)
    else rowsByConversation.set(row.conversation_id, [row])
  }
  for (const rows of rowsByConversation.values()) rows.sort((a, b) => a.seq - b.seq)
  const context: Context = {
    lines,
    final,
    cast,
    bounds: { ...USUAL_BOUNDS, ...bounds },
    actorOf: new Map(cast.actors.map(actor => [actor.proc, actor])),
    operations: operationsOf(lines),
    rowsByConversation,
    rowsById: new Map(final.messages.map(row => [row.id, row]))
  }
  const findings = new Findings()
  checkLog(context, findings)
  checkDensity(context, findings)
  checkRealTime(context, findings)
  checkReaders(context, findings)
  checkAgreement(context, findings)
  checkReads(context, findings)
  checkAuthority(context, findings)
  checkDerived(context, findings)
  checkTenancy(context, findings)
  checkAnswers(context, findings)
  return findings.violations
}
