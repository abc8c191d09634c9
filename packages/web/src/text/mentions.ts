export type Piece = { text: string; called?: 'me' | 'other' }

const IN_WORD = /[\p{L}\p{N}_]/u
const QUERY_MAX = 40

/**
 * Cuts a text at the names that it calls by `@`. The server says who is called; this finds where, by its rules: not in the
 * midst of a word, and of names that fit at one place the longest.
 *
 * @param names in lower case, with whether they mean me
 */
export function mentionPieces(text: string, names: ReadonlyMap<string, boolean>): Piece[] {
  const lower = text.toLowerCase()
  if (names.size === 0 || lower.length !== text.length) return [{ text }]
  const byLength = [...names.keys()].sort((a, b) => b.length - a.length)
  const pieces: Piece[] = []
  let from = 0
  for (let at = lower.indexOf('@'); at !== -1; at = lower.indexOf('@', at + 1)) {
    if (at < from || endsInWord(text.slice(Math.max(0, at - 2), at))) continue
    const name = byLength.find(known => lower.startsWith(known, at + 1) && !beginsInWord(text.slice(at + 1 + known.length)))
    if (name === undefined) continue
    if (at > from) pieces.push({ text: text.slice(from, at) })
    from = at + 1 + name.length
    pieces.push({ text: text.slice(at, from), called: names.get(name) ? 'me' : 'other' })
  }
  if (from < text.length || pieces.length === 0) pieces.push({ text: text.slice(from) })
  return pieces
}

const endsInWord = (text: string): boolean => IN_WORD.test([...text].at(-1) ?? ' ')
const beginsInWord = (text: string): boolean => IN_WORD.test(String.fromCodePoint(text.codePointAt(0) ?? 0x20))

/** The name that is being written before the caret: where its `@` stands, and what follows. */
export function mentionBefore(text: string, caret: number): { at: number; query: string } | undefined {
  const at = text.lastIndexOf('@', caret - 1)
  if (at < 0 || caret - at > QUERY_MAX || endsInWord(text.slice(Math.max(0, at - 2), at))) return undefined
  const query = text.slice(at + 1, caret)
  return /\s/u.test(query) ? undefined : { at, query }
}
