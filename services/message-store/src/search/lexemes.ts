import { analyse, type Run, type Word } from './runs.ts'

/**
 * What stands in the index for a message. Words and signs stand for themselves; what is no text begins with a character that
 * no word has, so neither is taken for the other, and none needs escaping.
 *
 * | lexeme | is |
 * |---|---|
 * | `ru`, `run`, `runn` … | the beginnings of each word, from two characters to eight |
 * | `~run` | the stem of an English word |
 * | `+nver` | four characters from within a long word: compounds |
 * | `서`, `서울` | a sign, and two that stand together, of scripts without spaces |
 * | `@…` `^…` `*…` | conversation, organization, sender: the last half of the id, which is what differs |
 * | `#01a1f` | the time, as the first four to seven digits of the message's id: 50 days down to 17 minutes |
 * | `!file` | carries a file |
 */
export interface Indexed {
  readonly id: string
  readonly conversation_id: string
  readonly org_id: string
  readonly sender_id: string
  readonly content: string
  readonly content_type: string
}

const BEGINNING_MAX = 8
/** Words of so many characters can be found by what is within them, if that has four at least. */
export const COMPOUND_MIN = 10
export const PART = 4
const COMPOUND_MAX = 40
const FILES: ReadonlySet<string> = new Set(['image', 'file', 'audio'])
export const HAS_FILE = '!file'

/** A message's lexemes. */
export function lexemesOf(message: Indexed): Set<string> {
  const lexemes = new Set([
    conversationLexeme(message.conversation_id),
    `^${lastHalf(message.org_id)}`,
    senderLexeme(message.sender_id),
    ...TIME_DIGITS.map(digits => timeLexeme(message.id, digits))
  ])
  if (FILES.has(message.content_type)) lexemes.add(HAS_FILE)
  for (const run of analyse(message.content).runs) {
    if (run.kind === 'signs') addSigns(lexemes, run)
    else addWord(lexemes, run)
  }
  return lexemes
}

function addWord(lexemes: Set<string>, word: Word): void {
  for (const form of word.forms) {
    const letters = lettersOf(form)
    if (letters.length === 1) lexemes.add(form)
    for (let end = 2; end <= letters.length && end <= BEGINNING_MAX; end++) lexemes.add(joined(letters, 0, end))
    if (letters.length >= COMPOUND_MIN && letters.length <= COMPOUND_MAX && !/\d/.test(form)) {
      for (let at = 1; at + PART <= letters.length; at++) lexemes.add(`+${joined(letters, at, at + PART)}`)
    }
  }
  if (word.text.length > 2) lexemes.add(`~${word.stem}`)
}

function addSigns(lexemes: Set<string>, { text }: Run): void {
  let before = ''
  for (const sign of text) {
    lexemes.add(sign)
    if (before !== '') lexemes.add(before + sign)
    before = sign
  }
}

/** Lexemes that every message with a word beginning like this has: one of `any`, or all of `parts`, or a word of `stem`. */
export function wordLexemes(form: string): { beginning: string; parts: string[] } {
  const letters = lettersOf(form)
  const parts: string[] = []
  if (letters.length >= PART) {
    for (let at = 0; at + PART < letters.length; at += PART) parts.push(`+${joined(letters, at, at + PART)}`)
    parts.push(`+${joined(letters, letters.length - PART, letters.length)}`)
  }
  return { beginning: joined(letters, 0, Math.min(letters.length, BEGINNING_MAX)), parts }
}

/** Lexemes that every message with these signs one after the other has. */
export function signLexemes(text: string): string[] {
  const signs = Array.from(text)
  return signs.length === 1 ? [text] : signs.slice(1).map((sign, at) => signs[at]! + sign)
}

export const conversationLexeme = (id: string): string => `@${lastHalf(id)}`
export const senderLexeme = (id: string): string => `*${lastHalf(id)}`

/** How many digits of its id a message's time has as a lexeme, the coarsest first; each is sixteen of the next. */
export const TIME_DIGITS = [4, 5, 6, 7] as const
export const timeLexeme = (id: string, digits: number): string => `#${id.replace('-', '').slice(0, digits)}`

/** As in `search_messages`, which makes the lexemes of a person's conversations. */
const lastHalf = (id: string): string => id.replaceAll('-', '').slice(16)

/** Characters, none cut in two: half of one cannot be stored. */
const lettersOf = (text: string): ArrayLike<string> & { length: number } => (/[\ud800-\udfff]/.test(text) ? Array.from(text) : text)
const joined = (letters: ArrayLike<string> & { length: number }, from: number, to: number): string =>
  typeof letters === 'string' ? letters.slice(from, to) : Array.prototype.slice.call(letters, from, to).join('')
