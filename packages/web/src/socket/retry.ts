export type StopReason = 'denied' | 'too_many' | 'revoked' | 'protocol'

type CloseAction = { kind: 'retry'; leastMs: number } | { kind: 'renew'; reason: StopReason } | { kind: 'stop'; reason: StopReason }

const FIRST_MS = 1_000
const CAP_MS = 30_000

/** What a close code asks of a client; every code that is not named comes back by itself. */
export function closeAction(code: number): CloseAction {
  switch (code) {
    case 4001:
    case 4002:
      return { kind: 'renew', reason: 'denied' }
    case 1008:
    case 1009:
    case 4003:
      return { kind: 'stop', reason: 'protocol' }
    case 4011:
      return { kind: 'stop', reason: 'too_many' }
    case 4013:
      return { kind: 'stop', reason: 'revoked' }
    case 1013:
      return { kind: 'retry', leastMs: 5_000 }
    case 4008:
      return { kind: 'retry', leastMs: 10_000 }
    default:
      return { kind: 'retry', leastMs: 0 }
  }
}

/** Full jitter over a doubling window, so that clients cut off together do not return together. */
export function retryDelayMs(attempt: number, leastMs: number, random = Math.random): number {
  const window = Math.min(CAP_MS, FIRST_MS * 2 ** attempt)
  return leastMs + 250 + random() * Math.max(window - 250, 0)
}
