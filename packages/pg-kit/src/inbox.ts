import type { DeadLetter } from '@parley/contracts'
import { type Kysely, sql } from 'kysely'
import type { Database } from './database.ts'
import { buryLetter, claimReplay, countLetters, finishReplay, type Letter } from './dead-letters.ts'

/** A change of a conversation, known by its version whoever published it, how often and in what company. */
export interface Versioned {
  readonly conversation_id: string
  readonly version: number
  /** Whether it may be left for a little while when a version before it has not come yet. */
  readonly mayWait?: boolean
}

/**
 * Holes of one conversation that are remembered. Versions that are never published make them (a change that another
 * passed before a sweep), so a row would grow for ever; past this the oldest half counts as applied.
 */
const RANGES_MAX = 200

/**
 * What one consumer has applied: for each conversation the set of its versions, as ranges. Effects go through `apply`,
 * in whose transaction the set grows, so each version has its effect once, whatever is delivered how often.
 *
 * Its tables are made by `createConsumerTables` in the service's own schema.
 */
export class Inbox<DB> {
  readonly consumer: string
  readonly #db: Database<DB>

  constructor(db: Database<DB>, consumer: string) {
    this.#db = db
    this.consumer = consumer
  }

  /**
   * Runs `effect` with those events that have not been applied yet, by conversation and version, in one transaction with
   * the record that they are. Where it throws, nothing of both is kept.
   *
   * @returns how many were new, and those that were left because an earlier version is still on its way
   */
  apply<E extends Versioned>(
    events: readonly E[],
    effect: (db: Kysely<DB>, fresh: readonly E[]) => Promise<unknown>
  ): Promise<{ fresh: number; early: E[] }> {
    return this.#db.transaction(async db => {
      const { fresh, early } = await takeNew(db, this.consumer, events)
      if (fresh.length > 0) await effect(db, fresh)
      return { fresh: fresh.length, early }
    })
  }

  bury(letter: DeadLetter): Promise<boolean> {
    return this.#db.query(db => buryLetter(db, this.consumer, letter))
  }

  countDead(): Promise<number> {
    return this.#db.query(db => countLetters(db, this.consumer))
  }

  claimReplay(): Promise<Letter | undefined> {
    return this.#db.query(db => claimReplay(db, this.consumer))
  }

  finishReplay(id: number, failure?: { reason: string; error: string }): Promise<void> {
    return this.#db.query(db => finishReplay(db, this.consumer, id, failure))
  }
}

/**
 * Records events as applied by this transaction and gives those that were not before: one statement, in which the rows of
 * their conversations are locked in the order of their ids. Two processes with the same event wait for each other here;
 * the second sees what the first committed.
 *
 * An event is early, and not recorded, where it may wait and versions between it and the highest one applied are missing.
 */
export async function takeNew<DB, E extends Versioned>(
  db: Kysely<DB>,
  consumer: string,
  events: readonly E[]
): Promise<{ fresh: E[]; early: E[] }> {
  if (events.length === 0) return { fresh: [], early: [] }
  const { rows } = await sql<{ conversation_id: string; before: string | null }>`
    with given as materialized (
      select c, range_agg(int8range(v, v, '[]')) as versions
      from unnest(${events.map(event => event.conversation_id)}::uuid[], ${events.map(event => event.version)}::int8[]) as x (c, v)
      group by c
    )
    insert into inbox as i (consumer, conversation_id, applied)
    select ${consumer}, c, versions from given order by c
    on conflict (consumer, conversation_id) do update set applied = i.applied + excluded.applied
      where not i.applied @> excluded.applied
    returning conversation_id, old.applied::text as before`.execute(db)

  // A conversation without a row has nothing new.
  const before = new Map(rows.map(row => [row.conversation_id, row.before === null ? undefined : parseRanges(row.before)]))
  const fresh: E[] = []
  const early: E[] = []
  let previous: E | undefined
  let expected = Number.POSITIVE_INFINITY
  for (const event of events.toSorted(byPlace)) {
    const id = event.conversation_id.toLowerCase()
    const isFirst = previous?.conversation_id.toLowerCase() !== id
    const isRepeated = !isFirst && previous?.version === event.version
    previous = event
    if (!before.has(id)) continue
    const ranges = before.get(id)
    // Of a conversation that was not seen before nothing says where it begins.
    if (isFirst) expected = ranges ? (ranges.at(-1)?.[1] ?? 1) : Number.POSITIVE_INFINITY
    if (isRepeated || ranges?.some(([from, to]) => event.version >= from && event.version < to)) continue
    if (event.mayWait && event.version > expected) {
      early.push(event)
      continue
    }
    fresh.push(event)
    expected = Math.max(expected, event.version + 1)
  }
  if (early.length > 0) await forget(db, consumer, early)
  for (const [id, ranges] of before) if (ranges && ranges.length > RANGES_MAX) await fold(db, consumer, id, ranges)
  return { fresh, early }
}

async function forget<DB>(db: Kysely<DB>, consumer: string, events: readonly Versioned[]): Promise<void> {
  await sql`
    update inbox i set applied = i.applied - g.versions
    from (
      select c, range_agg(int8range(v, v, '[]')) as versions
      from unnest(${events.map(event => event.conversation_id)}::uuid[], ${events.map(event => event.version)}::int8[]) as x (c, v)
      group by c
    ) g
    where i.consumer = ${consumer} and i.conversation_id = g.c`.execute(db)
}

async function fold<DB>(db: Kysely<DB>, consumer: string, conversation_id: string, ranges: readonly Range[]): Promise<void> {
  const [from] = ranges[0]!
  const [, to] = ranges[Math.floor(ranges.length / 2)]!
  await sql`
    update inbox set applied = applied + int8multirange(int8range(${from}::int8, ${to}::int8))
    where consumer = ${consumer} and conversation_id = ${conversation_id}`.execute(db)
}

/** From the first version to before the second. */
type Range = readonly [from: number, to: number]

/** `{[1,5),[7,9)}`: PostgreSQL writes ranges of whole numbers in this one way. */
function parseRanges(text: string): Range[] {
  return Array.from(text.matchAll(/\[(\d+),(\d+)\)/g), ([, from, to]) => [Number(from), Number(to)])
}

function byPlace(a: Versioned, b: Versioned): number {
  if (a.conversation_id === b.conversation_id) return a.version - b.version
  const [one, other] = [a.conversation_id.toLowerCase(), b.conversation_id.toLowerCase()]
  return one < other ? -1 : one > other ? 1 : a.version - b.version
}
