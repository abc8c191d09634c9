import { AppError, type DeadLetter } from '@parley/contracts'
import { type Kysely, sql } from 'kysely'

export interface Letter {
  readonly id: number
  readonly payload: Uint8Array
}

/** Then something else than single events is wrong: the consumer waits until somebody looks. */
const LETTERS_MAX = 10_000
const BYTES_MAX = 256 * 1024 ** 2
/** Who claimed a letter and died is not waited for longer. */
const CLAIM = '30 seconds'

/**
 * Keeps an event that could not be applied, once however often it comes.
 *
 * @returns whether it was not kept before
 * @throws AppError unavailable where the consumer has as many as it may
 */
export async function buryLetter<DB>(db: Kysely<DB>, consumer: string, letter: DeadLetter): Promise<boolean> {
  const { key, reason, error, subject, stream, stream_seq, published_at, first_failed_at, deliveries, payload } = letter
  const { rows } = await sql<{ is_new: boolean }>`
    with kept as (
      select count(*) as letters, coalesce(sum(octet_length(payload)), 0) as bytes, coalesce(bool_or(key = ${key}), false) as has_it
      from dead_letters where consumer = ${consumer}
    )
    insert into dead_letters as d
      (consumer, key, reason, error, subject, stream, stream_seq, published_at, first_failed_at, deliveries, payload)
    select ${consumer}, ${key}, ${reason}, ${error}, ${subject}, ${stream}, ${stream_seq}::int8, ${published_at}::timestamptz,
      ${first_failed_at}::timestamptz, ${deliveries}::int4, ${Buffer.from(payload)}::bytea
    from kept where has_it or (letters < ${LETTERS_MAX}::int8 and bytes < ${BYTES_MAX}::int8)
    on conflict (consumer, key) do update
      set reason = excluded.reason, error = excluded.error, last_failed_at = now(), deliveries = greatest(d.deliveries, excluded.deliveries)
    returning old.id is null as is_new`.execute(db)
  const [row] = rows
  if (!row) throw new AppError('unavailable', `the dead letters of ${consumer} are full: replay or drop some`)
  return row.is_new
}

export async function countLetters<DB>(db: Kysely<DB>, consumer: string): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(*) as count from dead_letters where consumer = ${consumer}`.execute(db)
  return rows[0]!.count
}

/** Takes one letter that somebody wants replayed; other processes pass it over meanwhile. */
export async function claimReplay<DB>(db: Kysely<DB>, consumer: string): Promise<Letter | undefined> {
  const { rows } = await sql<Letter>`
    update dead_letters set claimed_until = now() + ${CLAIM}::interval
    where id = (
      select id from dead_letters
      where consumer = ${consumer} and replay_requested_at is not null and (claimed_until is null or claimed_until < now())
      order by id limit 1 for update skip locked
    )
    returning id, payload`.execute(db)
  return rows[0]
}

/** Ends a replay: the letter goes, or stays with what it failed of this time. */
export async function finishReplay<DB>(
  db: Kysely<DB>,
  consumer: string,
  id: number,
  failure?: { reason: string; error: string }
): Promise<void> {
  if (failure) {
    await sql`
      update dead_letters set replay_requested_at = null, claimed_until = null, last_failed_at = now(), replays = replays + 1,
        reason = ${failure.reason}, error = ${failure.error}
      where consumer = ${consumer} and id = ${id}::int8`.execute(db)
  } else {
    await sql`delete from dead_letters where consumer = ${consumer} and id = ${id}::int8`.execute(db)
  }
}
