import { AppError } from '@parley/contracts'
import type { ConsumerWatch } from './consumer-watch.ts'
import type { ConsumerInbox } from './dead-letters.ts'
import { type ChangeEvent, type Incoming, keyOf, readLines, textOf } from './incoming.ts'

export type Effect<Tx> = (tx: Tx, fresh: readonly ChangeEvent[]) => Promise<unknown>

export interface Patience {
  /** Deliveries after which an event that still fails is a dead letter. */
  maxFailures: number
  /** Before the second delivery; doubled each time, a minute at most, half of it by chance. */
  firstDelayMs: number
}

/**
 * As many deliveries without any answer mean that it is the message itself that ends the process (or holds it for ever).
 * A message that comes again is tried alone, so those beside it are not counted with it.
 */
const MAX_DELIVERIES = 20
const DELAY_MAX_MS = 60_000
/** Two stores publish out of order by milliseconds; a version that was never published is not waited for longer. */
const HOLD_MS = 1_000
/** So many events in a row that fail of something being away, and none that does not: all would. */
const AWAY_AFTER = 3
const FIRST_FAILURES_MAX = 10_000

/** What becomes of messages once their events are tried: acknowledged, given back, put away, or still held. */
export class Work<Tx> {
  readonly #inbox: ConsumerInbox<Tx>
  readonly #effect: Effect<Tx>
  readonly #watch: ConsumerWatch
  readonly #patience: Patience
  readonly #firstFailures = new Map<string, string>()

  constructor(inbox: ConsumerInbox<Tx>, effect: Effect<Tx>, watch: ConsumerWatch, patience: Patience) {
    this.#inbox = inbox
    this.#effect = effect
    this.#watch = watch
    this.#patience = patience
  }

  /**
   * Applies what messages say, in one transaction; where that fails, event by event, so that one does not take the others
   * with it. Answers for every message but those it returns: they wait for an earlier version, and are to be tried again.
   *
   * @throws AppError where a dependency is away; nothing is answered for then, and nothing counted
   */
  async try(messages: readonly Incoming[], { together }: { together: boolean }): Promise<Incoming[]> {
    const now = Date.now()
    const live: Incoming[] = []
    for (const message of messages) {
      if (message.deliveries > MAX_DELIVERIES) {
        await this.#giveUp(message)
        continue
      }
      live.push(message)
      for (const event of message.events) event.mayWait = now - message.arrivedAt < HOLD_MS
    }
    const events = live.flatMap(message => message.events)
    const outcome = (together && (await this.#together(events))) || (await this.#oneByOne(events))
    const held: Incoming[] = []
    for (const message of live) if (!(await this.#settle(message, outcome))) held.push(message)
    return held
  }

  async #together(events: readonly ChangeEvent[]): Promise<Outcome | undefined> {
    try {
      return { early: new Set(await this.#apply(events)), failed: new Map() }
    } catch (error) {
      if (isAway(error)) throw error
      this.#watch.batchFailed(error, events.length)
      return undefined
    }
  }

  async #oneByOne(events: readonly ChangeEvent[]): Promise<Outcome> {
    const early = new Set<ChangeEvent>()
    const failed = new Map<ChangeEvent, unknown>()
    const parked = new Set<string>()
    let hasWorked = false
    for (const event of shuffled(events)) {
      // What follows one that failed waits with it.
      if (parked.has(event.conversation_id)) {
        early.add(event)
        continue
      }
      try {
        for (const left of await this.#apply([event], () => (hasWorked = true))) early.add(left)
      } catch (error) {
        failed.set(event, error)
        parked.add(event.conversation_id)
        if (!hasWorked && failed.size >= AWAY_AFTER && [...failed.values()].every(isAway)) throw error
      }
    }
    const errors = [...failed.values()]
    if (errors.length > 0 && !hasWorked && errors.every(isAway)) throw errors[0]
    return { early, failed }
  }

  async #apply(events: readonly ChangeEvent[], onApplied?: () => void): Promise<readonly ChangeEvent[]> {
    if (events.length === 0) return []
    const { fresh, early } = await this.#inbox.apply(events, this.#effect)
    if (fresh > 0) onApplied?.()
    this.#watch.applied(fresh, events.length - fresh - early.length)
    return early
  }

  /** @returns false where it is still to be tried */
  async #settle(message: Incoming, { early, failed }: Outcome): Promise<boolean> {
    for (const fault of message.faults) {
      await this.#bury(message, fault)
      message.without(fault)
    }
    const failures = message.events.filter(event => failed.has(event))
    const isLast = message.deliveries >= this.#patience.maxFailures && !failures.some(event => isAway(failed.get(event)))
    for (const event of failures) {
      const error = failed.get(event)
      if (!isLast) {
        this.#failed(message, event, error)
        continue
      }
      await this.#bury(message, { ...letterOf(event), reason: 'failed', error: textOf(error) })
      message.without(event)
      this.#firstFailures.delete(keyOf(event))
    }
    if (failures.length > 0 && !isLast) {
      message.nak(this.#delayMs(message.deliveries))
      return true
    }
    if (message.events.some(event => early.has(event))) return false
    message.ack()
    for (const event of message.events) this.#firstFailures.delete(keyOf(event))
    return true
  }

  #failed(message: Incoming, event: ChangeEvent, error: unknown): void {
    const { conversation_id, version } = event
    if (this.#firstFailures.size < FIRST_FAILURES_MAX && !this.#firstFailures.has(keyOf(event)))
      this.#firstFailures.set(keyOf(event), new Date().toISOString())
    this.#watch.failed(error, { conversation_id, version, stream_seq: message.seq, deliveries: message.deliveries })
  }

  async #bury(message: Incoming, fault: { key?: string; payload: Uint8Array; reason: string; error: string }): Promise<void> {
    const first = (fault.key && this.#firstFailures.get(fault.key)) || new Date().toISOString()
    const letter = message.letter(fault, first)
    if (!(await this.#inbox.bury(letter))) return
    this.#watch.buried({ reason: letter.reason, key: letter.key, stream_seq: letter.stream_seq, deliveries: letter.deliveries })
  }

  async #giveUp(message: Incoming): Promise<void> {
    const error = `delivered ${message.deliveries} times and never done with: did it end the process?`
    await this.#bury(message, { payload: message.data, reason: 'unanswered', error })
    message.ack()
  }

  #delayMs(deliveries: number): number {
    const most = Math.min(DELAY_MAX_MS, this.#patience.firstDelayMs * 2 ** (deliveries - 1))
    return most * (0.5 + Math.random() / 2)
  }

  /**
   * Tries one letter that somebody wants replayed. It goes through the inbox as ever, so it has its effect here once, and
   * nowhere else.
   *
   * @returns whether there was one
   * @throws AppError where a dependency is away; the letter is then taken up later
   */
  async replayOne(): Promise<boolean> {
    const letter = await this.#inbox.claimReplay()
    if (!letter) return false
    const { events, faults } = readLines(letter.payload)
    let failure: { reason: string; error: string } | undefined = faults[0]
    for (const event of events) {
      try {
        await this.#apply([event])
      } catch (error) {
        if (isAway(error)) throw error
        failure ??= { reason: 'failed', error: textOf(error) }
      }
    }
    await this.#inbox.finishReplay(letter.id, failure && { reason: failure.reason, error: failure.error })
    this.#watch.replayed(letter.id, failure)
    return true
  }
}

interface Outcome {
  early: ReadonlySet<ChangeEvent>
  failed: ReadonlyMap<ChangeEvent, unknown>
}

const encoder = new TextEncoder()
const letterOf = (event: ChangeEvent) => ({ key: keyOf(event), payload: encoder.encode(event.line) })

/** In any order but that of a conversation's versions: the same few that find something away must not always be first. */
function shuffled(events: readonly ChangeEvent[]): ChangeEvent[] {
  const places = new Map<string, number>()
  for (const { conversation_id } of events) places.set(conversation_id, places.get(conversation_id) ?? Math.random())
  return events.toSorted((a, b) => places.get(a.conversation_id)! - places.get(b.conversation_id)! || a.version - b.version)
}

/** Whether it is no fault of the event: something that the effect needs is away or busy. */
function isAway(error: unknown): boolean {
  return error instanceof AppError && (error.code === 'unavailable' || error.code === 'rate_limited')
}
