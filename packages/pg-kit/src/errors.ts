import { AppError } from '@parley/contracts'

// The classes that there are begin so; `EPIPE`, which has five letters as well, does not.
const SQLSTATE = /^[0-9FHPX][0-9A-Z]{4}$/

/** The SQLSTATE of a PostgreSQL error, undefined for anything else. */
export function sqlState(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' && SQLSTATE.test(code) ? code : undefined
}

export const UNIQUE_VIOLATION = '23505'

// Connection exceptions, resources, operator intervention (shutdown, crash, cancel), system errors, lock timeouts,
// serialization and deadlocks: all of them pass.
const AWAY = /^(08|53|57|58|55P03|40)/
const AWAY_MESSAGES =
  /timeout|terminated|ECONN|ETIMEDOUT|EPIPE|ENOTFOUND|EAI_AGAIN|socket|not queryable|closed|Cannot use a pool|invalid response/i

/**
 * What a caller is told of an error from PostgreSQL: a database that is away or busy is `unavailable`, a text it
 * refuses `invalid_text`; anything else is ours, and stays as it is.
 */
export function fromPostgres(error: unknown): unknown {
  if (error instanceof AppError) return error
  const state = sqlState(error)
  if (state === '22021' || state === '22P05')
    return new AppError('invalid_text', 'a text contains NUL or a lone surrogate', { cause: error })
  if (
    state ? AWAY.test(state) : error instanceof Error && AWAY_MESSAGES.test(`${(error as NodeJS.ErrnoException).code} ${error.message}`)
  ) {
    return new AppError('unavailable', 'the database is away', { cause: error })
  }
  return error
}
