import { AppError, type ErrorCode } from './errors.ts'

export const CONTENT_MAX = 5_000

// Line feed and tab stay; other control characters have no place in a message.
const CONTROL = /[\u0001-\u0008\u000b-\u001f\u007f-\u009f]/gu
// What a reader can see: all but white space, format characters (zero width, direction), marks without a base.
const VISIBLE = /[^\p{White_Space}\p{Cf}\p{M}\u115f\u1160\u3164\uffa0]/u
// Direction overrides let one name look like another; names lose them, messages keep them (the page isolates each).
const OVERRIDES = /[\u202a-\u202e\u2066-\u2069\u200e\u200f]/gu

/**
 * Cleans a text before it is stored, the one place where that happens: NFC, CR LF to LF, control characters out, trimmed.
 *
 * @throws AppError invalid_text on NUL or a lone surrogate: PostgreSQL refuses the first and would silently change the second
 */
export function cleanText(text: string, field = 'text'): string {
  if (text.includes('\u0000') || !text.isWellFormed()) {
    throw new AppError('invalid_text', `${field} contains NUL or a lone surrogate`, {
      errors: [{ path: `/${field}`, message: 'must not contain NUL or lone surrogates' }]
    })
  }
  return text.replaceAll('\r\n', '\n').replace(CONTROL, '').normalize('NFC').trim()
}

/**
 * Cleans a message's content and holds it to its length: 1 to `max` code points, something of it visible.
 *
 * @throws AppError invalid_text, content_empty, content_too_long
 */
export function cleanContent(content: string, max = CONTENT_MAX): string {
  const clean = cleanText(content, 'content')
  if (!VISIBLE.test(clean)) throw refused('content_empty', 'has nothing that can be seen')
  // A string has at most as many code points as UTF-16 units, so most contents need no second look.
  if (clean.length > max && codePoints(clean) > max) {
    throw refused('content_too_long', `has ${codePoints(clean)} characters, ${max} are allowed`)
  }
  return clean
}

const refused = (code: ErrorCode, message: string): AppError =>
  new AppError(code, `content ${message}`, { errors: [{ path: '/content', message }] })

/**
 * Cleans a one-line name (a person, a title): no line breaks, no direction overrides, cut between characters to at most
 * `max` UTF-16 units, as `maxLength` in the contracts counts them. Counted otherwise, what was cut here is refused there.
 */
export function cleanName(name: string, field: string, max: number): string {
  const clean = cleanText(name, field).replace(OVERRIDES, '').replace(/\s+/gu, ' ').trim()
  if (clean.length <= max) return clean
  const cut = clean.slice(0, max)
  return (cut.isWellFormed() ? cut : cut.slice(0, -1)).trim()
}

/** How many characters a person would count, roughly: code points. */
export function codePoints(text: string): number {
  let count = 0
  for (const _ of text) count++
  return count
}
