import type { Line, Op } from '../history.ts'

/** One thing that somebody wanted, with all its attempts. */
export interface Operation {
  op: Op
  key: string
  proc: string
  conv: string
  target: string | undefined
  value: string | undefined
  /** The first attempt. */
  invoke: Line
  /** The acknowledgements; more than one where it was tried again after an unknown outcome that was a good one. */
  oks: Line[]
  fails: Line[]
  /** Attempts whose outcome nobody knows, also those that the history ends in. */
  unknown: number
}

/** Puts attempts and outcomes together. Linear in the history. */
export function operationsOf(lines: readonly Line[]): Map<string, Operation> {
  const operations = new Map<string, Operation>()
  const byInvoke = new Map<number, Operation>()
  for (const line of lines) {
    if (line.key !== undefined && line.type === 'invoke') {
      const id = `${line.op} ${line.key}`
      let operation = operations.get(id)
      if (!operation) {
        operation = {
          op: line.op,
          key: line.key,
          proc: line.proc,
          conv: line.conv ?? '',
          target: line.target,
          value: line.value,
          invoke: line,
          oks: [],
          fails: [],
          unknown: 0
        }
        operations.set(id, operation)
      }
      operation.unknown++
      byInvoke.set(line.n, operation)
    } else if (line.of !== undefined) {
      const operation = byInvoke.get(line.of)
      if (!operation || line.type === 'info') continue
      operation.unknown--
      if (line.type === 'ok') operation.oks.push(line)
      else operation.fails.push(line)
    }
  }
  return operations
}
