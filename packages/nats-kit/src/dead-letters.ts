import type { ChangeEvent } from './incoming.ts'

/** An event that could not be applied, with all that is needed to look into it and to try it again. */
export interface DeadLetter {
  readonly key: string
  readonly reason: string
  readonly error: string
  readonly subject: string
  readonly stream: string
  readonly stream_seq: number
  readonly published_at: string
  readonly first_failed_at: string
  readonly deliveries: number
  readonly payload: Uint8Array
}

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
