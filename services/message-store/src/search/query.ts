import { HAS_FILE, senderLexeme, signLexemes, wordLexemes } from './lexemes.ts'
import { analyse, type Run, type Word } from './runs.ts'

/** What a message must have, all of it: a word, signs, or a phrase, which stands there as it was written. */
export type Term =
  | { kind: 'word'; word: Word }
  /** `bare`: Korean without its particle; the text itself where it has none. */
  | { kind: 'signs'; text: string; bare: string }
  | { kind: 'phrase'; runs: readonly Run[] }

const PHRASE = /["“”„«»]([^"“”„«»]*)["“”„«»]/g

/** Reads a query. Nothing in it is an operator but quotation marks in pairs. */
export function parseQuery(q: string): Term[] {
  const terms: Term[] = []
  let at = 0
  for (const match of q.matchAll(PHRASE)) {
    terms.push(...looseTerms(q.slice(at, match.index)))
    const { runs } = analyse(match[1]!)
    if (runs.length > 0) terms.push({ kind: 'phrase', runs })
    at = match.index + match[0].length
  }
  terms.push(...looseTerms(q.slice(at)))
  return terms
}

function looseTerms(text: string): Term[] {
  return analyse(text).runs.map(run =>
    run.kind === 'word' ? { kind: 'word', word: run } : { kind: 'signs', text: run.text, bare: run.text.replace(PARTICLE, '') }
  )
}

/** What nouns seldom end with by themselves, after two syllables at least: 이, 가, 도, 로 and the like end too many. */
const PARTICLE = /(?<=[가-힣]{2})(?:에서|에게|에게서|한테|까지|부터|으로|께서|처럼|보다|하고|에|을|를|은|는)$/u

/** What a message must have, in the words of the index. */
interface Condition {
  expression: string
  isCommon: boolean
}

const NONE: ReadonlySet<string> = new Set()

/**
 * The terms and filters as a `tsquery` on lexemes. What it finds is a superset: a match is confirmed on the text. So what is
 * common is left to that, where something else narrows the search down.
 */
export function toTsquery(
  terms: readonly Term[],
  { sender_id, has }: { sender_id?: string | undefined; has?: string | undefined },
  common = NONE
): string {
  const conditions = terms.flatMap(term => toConditions(term, common))
  const rare = conditions.filter(({ isCommon }) => !isCommon)
  const wanted = new Set((rare.length > 0 ? rare : conditions).map(({ expression }) => expression))
  if (sender_id !== undefined) wanted.add(quoted(senderLexeme(sender_id)))
  if (has !== undefined) wanted.add(quoted(HAS_FILE))
  return [...wanted].join(' & ')
}

function toConditions(term: Term, common: ReadonlySet<string>): Condition[] {
  const plain = (lexeme: string) => ({ expression: quoted(lexeme), isCommon: common.has(lexeme) })
  if (term.kind === 'signs') return signLexemes(term.bare).map(plain)
  if (term.kind === 'phrase') {
    return term.runs.flatMap(run => (run.kind === 'signs' ? signLexemes(run.text) : [wordLexemes(run.text).beginning])).map(plain)
  }
  const { word } = term
  const forms = word.forms.map(wordLexemes)
  const ways = forms.flatMap(({ beginning, parts }) => (parts.length > 0 ? [quoted(beginning), allOf(parts)] : [quoted(beginning)]))
  if (word.text.length > 2) ways.push(quoted(`~${word.stem}`))
  return [{ expression: `(${[...new Set(ways)].join(' | ')})`, isCommon: forms.some(({ beginning }) => common.has(beginning)) }]
}

const allOf = (lexemes: readonly string[]): string => `(${[...new Set(lexemes)].map(quoted).join(' & ')})`
/** No lexeme has a quote or a backslash: it is letters, digits, or made by us. */
export const quoted = (lexeme: string): string => `'${lexeme}'`
