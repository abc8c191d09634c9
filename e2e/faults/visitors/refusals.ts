import { ERRORS } from '@parley/contracts'
import type { Line } from '../history.ts'

/** Answers of the servers' own failing, by how often the operation had been tried before. */
export function failingAnswers(lines: readonly Line[]): { first: number; afterRetry: Line[] } {
  const tries = new Map<string, number>()
  const byInvoke = new Map<number, number>()
  const afterRetry: Line[] = []
  let first = 0
  for (const line of lines) {
    if (line.type === 'invoke' && line.key !== undefined) {
      const operation = `${line.op} ${line.key}`
      const attempt = (tries.get(operation) ?? 0) + 1
      tries.set(operation, attempt)
      byInvoke.set(line.n, attempt)
    } else if (line.of !== undefined && line.code !== undefined && isFailing(line.code)) {
      if ((byInvoke.get(line.of) ?? 1) === 1) first++
      else afterRetry.push(line)
    }
  }
  return { first, afterRetry }
}

/** A status without a code, or a code that stands for one; a connection that was lost or refused is no answer. */
function isFailing(code: string): boolean {
  const status = Object.hasOwn(ERRORS, code) ? ERRORS[code as keyof typeof ERRORS].status : Number(code)
  return status >= 500
}
