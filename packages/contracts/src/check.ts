import { FormatRegistry, type Static, type TSchema } from '@sinclair/typebox'
import { type TypeCheck, TypeCompiler } from '@sinclair/typebox/compiler'
import { type ValueError, ValueErrorType } from '@sinclair/typebox/value'
import { AppError, type ErrorCode, type FieldError } from './errors.ts'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const RFC_3339 = /^(\d{4})-(\d\d)-(\d\d)[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)$/
/** What can be kept as a time and told in the same form: the database has no year 0, RFC 3339 none of five digits. */
const FIRST_MS = Date.parse('0001-01-01T00:00:00.000Z')
const LAST_MS = Date.parse('9999-12-31T23:59:59.999Z')

// TypeBox refuses a format that nobody registered.
FormatRegistry.Set('uuid', value => UUID.test(value))
FormatRegistry.Set('date-time', isTime)

export const isUuid = (value: string): boolean => UUID.test(value)

/** Whether milliseconds since 1970 are a time that can be kept. */
export const isKeepable = (ms: number): boolean => ms >= FIRST_MS && ms <= LAST_MS

/** Whether a text names a time that there is: `Date.parse` takes the 30th of February for the 2nd of March. */
function isTime(value: string): boolean {
  const [, year, month, day] = RFC_3339.exec(value) ?? []
  if (day === undefined || !isKeepable(Date.parse(value))) return false
  // The calendar comes back every 400 years, and the years before 100 stand for others there.
  return Number(day) <= new Date(Date.UTC(2000 + (Number(year) % 400), Number(month), 0)).getUTCDate()
}

const compiled = new WeakMap<TSchema, TypeCheck<TSchema>>()
const MAX_REPORTED = 10

/**
 * Checks a value that came from outside against its schema; the validator is compiled at first use.
 *
 * A schema may carry `code`, the error code that a breach of it has (`content_too_long`); otherwise an unknown
 * field is `unknown_field`, all else `otherwise`.
 *
 * @throws AppError with every faulty field (ten at most) in `errors`
 */
export function check<S extends TSchema>(schema: S, value: unknown, otherwise: ErrorCode = 'invalid_request'): asserts value is Static<S> {
  let validator = compiled.get(schema)
  if (!validator) {
    validator = TypeCompiler.Compile(schema)
    compiled.set(schema, validator)
  }
  if (validator.Check(value)) return

  const errors: FieldError[] = []
  let code: ErrorCode | undefined
  for (const error of validator.Errors(value)) {
    if (errors.some(known => known.path === error.path)) continue
    code ??= codeOf(error)
    errors.push({ path: error.path.toWellFormed().slice(0, 200), message: messageOf(error) })
    if (errors.length === MAX_REPORTED) break
  }
  const first = errors[0]
  throw new AppError(code ?? otherwise, first ? `${first.path.slice(1) || 'the value'}: ${first.message}` : 'does not fit its contract', {
    errors
  })
}

function codeOf(error: ValueError): ErrorCode | undefined {
  if (error.type === ValueErrorType.ObjectAdditionalProperties) return 'unknown_field'
  // A field that is missing or no text at all is not one that is too long.
  if (error.type === ValueErrorType.ObjectRequiredProperty || error.type === ValueErrorType.String) return undefined
  return error.schema.code
}

function messageOf(error: ValueError): string {
  switch (error.type) {
    case ValueErrorType.ObjectAdditionalProperties:
      return 'is not known'
    case ValueErrorType.ObjectRequiredProperty:
      return 'is missing'
    case ValueErrorType.StringFormat:
      return error.schema.format === 'uuid' ? 'must be a UUID' : 'must be a time such as 2026-01-20T10:30:00.000Z'
    case ValueErrorType.Union:
      return error.schema.description ?? 'has none of the values allowed'
    default:
      return error.message.replace(/^Expected/, 'must be').toLowerCase()
  }
}
