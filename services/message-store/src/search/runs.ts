import { type Folded, fold } from './fold.ts'
import { stem } from './stem.ts'

/**
 * A stretch of a text that is searched as one: a word, or characters of a script that puts no spaces between words, of which
 * any part can be asked for.
 */
export type Run = Word | Signs

interface Stretch {
  /** Ends in the folded text. */
  readonly from: number
  readonly to: number
  readonly text: string
}
export interface Word extends Stretch {
  readonly kind: 'word'
  /** How else it may be written; the first one is the text itself. */
  readonly forms: readonly string[]
  readonly stem: string
}
export interface Signs extends Stretch {
  readonly kind: 'signs'
}

export interface Analysis {
  readonly folded: Folded
  readonly runs: readonly Run[]
}

const UNSPACED = ['Han', 'Hiragana', 'Katakana', 'Hangul', 'Thai', 'Lao', 'Khmer', 'Myanmar', 'Tibetan']
const UNSPACED_SIGN = `${UNSPACED.map(script => `\\p{Script=${script}}`).join('')}ー々〆`
const RUN = new RegExp(
  `((?:(?![©®™])[${UNSPACED_SIGN}\\p{Extended_Pictographic}\\p{Regional_Indicator}]\\p{M}*)+)|(?:(?![${UNSPACED_SIGN}])[\\p{L}\\p{N}\\p{M}])+`,
  'gu'
)
const ASCII_RUN = /[a-z0-9]+/g
const ASCII = /^[\u0000-\u007f]*$/

/** Folds a text and cuts it into what can be searched. */
export function analyse(text: string): Analysis {
  const folded = fold(text)
  const isAscii = ASCII.test(folded.text)
  const runs: Run[] = []
  for (const match of folded.text.matchAll(isAscii ? ASCII_RUN : RUN)) {
    const [found, signs] = match
    const stretch = { from: match.index, to: match.index + found.length, text: found }
    runs.push(
      signs === undefined || isAscii
        ? { kind: 'word', ...stretch, forms: formsOf(found, text, folded, stretch), stem: stem(found) }
        : { kind: 'signs', ...stretch }
    )
  }
  return { folded, runs }
}

const UMLAUT = /[äöü]/i
const ARTICLE = /^(?:[وفبك]?ال|لل)(?=.{3})/u

/** Beside itself, a German word with ä, ö, ü as ae, oe, ue, and an Arabic one without its article. */
function formsOf(word: string, text: string, folded: Folded, { from, to }: { from: number; to: number }): string[] {
  if (!folded.places) return [word]
  const written = text
    .slice(folded.places[2 * from], folded.places[2 * to - 1])
    .normalize('NFC')
    .toLowerCase()
  if (UMLAUT.test(written)) {
    return [word, fold(written.replaceAll('ä', 'ae').replaceAll('ö', 'oe').replaceAll('ü', 'ue')).text]
  }
  const bare = word.replace(ARTICLE, '')
  return bare === word ? [word] : [word, bare]
}
