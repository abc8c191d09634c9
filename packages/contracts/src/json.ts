import { AppError } from './errors.ts'

const SUSPICIOUS = /\\u0000|\\ud[89a-f]/i

/**
 * Parses JSON from outside. Prototype keys, NUL and lone surrogates are refused, whichever field they are in:
 * schemas let them pass and PostgreSQL then answers with an error. The text is scanned first, so that only
 * a text with such an escape is walked.
 *
 * @throws AppError invalid_json, invalid_text
 */
export function parseJson(raw: string): unknown {
  let value: unknown
  try {
    value = JSON.parse(raw)
  } catch {
    throw new AppError('invalid_json', 'not valid JSON')
  }
  if (raw.includes('"__proto__"') || raw.includes('\\u005f')) refusePrototype(value)
  if (SUSPICIOUS.test(raw)) refuseBadText(value)
  return value
}

/** Walks without recursion: a body of 256 KiB may be a hundred thousand levels deep. */
function* walk(root: unknown): Generator<{ path: string; key: string | undefined; value: unknown }> {
  const stack: { path: string; value: unknown }[] = [{ path: '', value: root }]
  for (let top = stack.pop(); top; top = stack.pop()) {
    yield { path: top.path, key: undefined, value: top.value }
    if (typeof top.value !== 'object' || top.value === null) continue
    for (const [key, value] of Object.entries(top.value)) {
      const path = top.path.length < 200 ? `${top.path}/${key}` : top.path
      yield { path, key, value }
      if (typeof value === 'object' && value !== null) stack.push({ path, value })
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
  let depth = 0
  for (const { path, value } of walk(metadata)) {
    depth = Math.max(depth, path.split('/').length)
    const unsafe = typeof value === 'number' && (!Number.isFinite(value) || Math.abs(value) > Number.MAX_SAFE_INTEGER)
    if (unsafe || depth > METADATA_MAX_DEPTH + 1) {
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
