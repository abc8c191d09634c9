import { AppError } from './errors.ts'

const SUSPICIOUS = /\\u0000|\\ud[89a-f]/i
/** The key, or an escape that may stand for one of its letters. */
const PROTOTYPE = /"__proto__"|\\u00[567]/i
/** A number that may be past all numbers: it parses as Infinity, and would go on as null. */
const HUGE = /\d[eE]\+?0*[1-9]\d{2}|(?<!\d)\d{200}/
const OPENING = /[[{]/g
/** Far above what any contract has, far below what ends a walk by recursion, as in JSON.stringify. */
const LEVELS_MAX = 64

/**
 * Parses JSON from outside. Prototype keys, NUL and lone surrogates are refused, whichever field they are in:
 * schemas let them pass and PostgreSQL then answers with an error. So are nesting without end and numbers past all
 * numbers. The text is scanned first, so that only a text with such an escape, number, or that many brackets is walked.
 *
 * @throws AppError invalid_json, invalid_request, unknown_field, invalid_text
 */
export function parseJson(raw: string): unknown {
  let value: unknown
  try {
    value = JSON.parse(raw)
  } catch {
    throw new AppError('invalid_json', 'not valid JSON')
  }
  if ((raw.match(OPENING)?.length ?? 0) > LEVELS_MAX) refuseDepth(value)
  if (PROTOTYPE.test(raw)) refusePrototype(value)
  if (SUSPICIOUS.test(raw)) refuseBadText(value)
  if (HUGE.test(raw)) refuseInfinity(value)
  return value
}

/** Walks without recursion: a body of 256 KiB may be a hundred thousand levels deep. */
function* walk(root: unknown): Generator<{ path: string; level: number; key: string | undefined; value: unknown }> {
  const stack: { path: string; level: number; value: unknown }[] = [{ path: '', level: 0, value: root }]
  for (let top = stack.pop(); top; top = stack.pop()) {
    yield { ...top, key: undefined }
    if (typeof top.value !== 'object' || top.value === null) continue
    const level = top.level + 1
    for (const [key, value] of Object.entries(top.value)) {
      const path = top.path.length < 200 ? `${top.path}/${key}` : top.path
      yield { path, level, key, value }
      if (typeof value === 'object' && value !== null) stack.push({ path, level, value })
    }
  }
}

/**
 * Refuses NUL and lone surrogates in any key or string of a value.
 *
 * @throws AppError invalid_text, naming the field
 */
export function refuseBadText(root: unknown): void {
  for (const { path, key, value } of walk(root)) {
    if (isBad(key) || isBad(value)) {
      throw new AppError('invalid_text', 'a text contains NUL or a lone surrogate', {
        errors: [{ path: path.toWellFormed().replaceAll('\u0000', ''), message: 'must not contain NUL or lone surrogates' }]
      })
    }
  }
}

function refusePrototype(root: unknown): void {
  for (const { key, path } of walk(root)) {
    if (key === '__proto__') {
      throw new AppError('unknown_field', '__proto__ is no field', { errors: [{ path, message: 'is not known' }] })
    }
  }
}

function refuseInfinity(root: unknown): void {
  for (const { path, value } of walk(root)) {
    if (value === Number.POSITIVE_INFINITY || value === Number.NEGATIVE_INFINITY) {
      throw new AppError('invalid_request', 'a number is too large', { errors: [{ path: path.slice(0, 200), message: 'is too large' }] })
    }
  }
}

function refuseDepth(root: unknown): void {
  for (const { level } of walk(root)) {
    if (level > LEVELS_MAX) throw new AppError('invalid_request', `nested deeper than ${LEVELS_MAX} levels`)
  }
}

function isBad(value: unknown): boolean {
  return typeof value === 'string' && (value.includes('\u0000') || !value.isWellFormed())
}

const METADATA_MAX_BYTES = 8_192
const METADATA_MAX_DEPTH = 16

/**
 * Holds free-form metadata to its bounds: 8 KiB as JSON, 16 levels, numbers that survive a round trip.
 *
 * @returns the JSON text to store
 * @throws AppError invalid_request
 */
export function metadataJson(metadata: object): string {
  for (const { path, level, value } of walk(metadata)) {
    const unsafe = typeof value === 'number' && (!Number.isFinite(value) || Math.abs(value) > Number.MAX_SAFE_INTEGER)
    if (unsafe || level > METADATA_MAX_DEPTH) {
      const message = unsafe ? 'has a number that cannot be kept exactly' : `is deeper than ${METADATA_MAX_DEPTH} levels`
      throw new AppError('invalid_request', `metadata ${message}`, { errors: [{ path: `/metadata${path}`.slice(0, 200), message }] })
    }
  }
  const json = JSON.stringify(metadata)
  if (Buffer.byteLength(json) > METADATA_MAX_BYTES) {
    const message = `is larger than ${METADATA_MAX_BYTES} bytes`
    throw new AppError('invalid_request', `metadata ${message}`, { errors: [{ path: '/metadata', message }] })
  }
  return json
}
