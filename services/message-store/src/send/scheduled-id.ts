import { randomUUIDv7 } from 'node:crypto'
import { timeOf } from '../search/time.ts'

/** Search takes a message's id for the time at which it was sent, give or take a minute. */
const KEPT_MS = 30_000
/** So far back the search index looks for new messages by itself, with a second to spare. */
const NEW_MS = 1_000

/** An id such as a message has that is sent at that time, in milliseconds since 1970. */
export function idAt(ms: number): string {
  const digits = Math.max(0, ms).toString(16).padStart(12, '0')
  return `${digits.slice(0, 8)}-${digits.slice(8)}${randomUUIDv7().slice(13)}`
}

/**
 * The id under which a scheduled message is sent now. It is its own, unless it was moved or is late: in a message's id stands
 * when it was sent, and one from the future would hide what others say until then from the search index.
 *
 * @returns also whether it is too old for the search index to come upon it soon
 */
export function idNow(id: string, now: number): { id: string; isOld: boolean } {
  const age = now - timeOf(id)
  if (age < -NEW_MS || age > KEPT_MS) return { id: randomUUIDv7(), isOld: false }
  return { id, isOld: age > NEW_MS }
}
