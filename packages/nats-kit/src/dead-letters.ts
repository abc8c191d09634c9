import type { DeadLetter } from '@parley/contracts'
import type { ChangeEvent } from './incoming.ts'

/**
 * What a consumer has applied and what it could not, kept where its effects are: the `Inbox` of pg-kit is one.
 *
 * An implementation owes: `apply` calls `effect` with events that were not applied before, by conversation and version,
 * and keeps both or neither; `early` are those it left for later, which only events that may wait can be. Whatever throws
 * `unavailable` is a dependency that is away, and is tried again.
 */
export interface ConsumerInbox<Tx> {
  readonly consumer: string
  apply(
    events: readonly ChangeEvent[],
    effect: (tx: Tx, fresh: readonly ChangeEvent[]) => Promise<unknown>
  ): Promise<{ fresh: number; early: readonly ChangeEvent[] }>
  /** @returns whether it was not kept before */
  bury(letter: DeadLetter): Promise<boolean>
  countDead(): Promise<number>
  /** One letter that somebody wants tried again, which no other process gets meanwhile. */
  claimReplay(): Promise<{ readonly id: number; readonly payload: Uint8Array } | undefined>
  /** The letter goes; or stays, with what it failed of. */
  finishReplay(id: number, failure?: { reason: string; error: string }): Promise<void>
}
