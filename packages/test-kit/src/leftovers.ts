import type { Scope } from './scope.ts'
import { until } from './until.ts'

/** Tap's own pipes to its runner, and files that are being read. */
const HARMLESS = new Set(['PipeWrap', 'TTYWrap', 'FSReqPromise', 'FSReqCallback', 'Immediate', 'FileHandle'])
const SETTLE_MS = 3_000
const END_MS = 1_000

/**
 * Fails a test file that leaves a connection, a process or a timer behind. Called first with the file's root test, it
 * looks last, when everything opened has been closed.
 */
export function failOnLeftovers(t: Scope): void {
  t.teardown(async () => {
    let left: string[] = []
    const isClear = () => {
      left = process.getActiveResourcesInfo().filter(name => !HARMLESS.has(name))
      return left.length === 0
    }
    await until(isClear, { timeoutMs: SETTLE_MS }).catch(() => {
      // What is left keeps the process alive; its runner would wait for minutes.
      setTimeout(() => process.exit(1), END_MS).unref()
      throw new Error(`the test leaves behind: ${left.join(', ')}`)
    })
  })
}
