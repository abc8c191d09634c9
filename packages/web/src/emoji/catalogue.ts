import type { Language } from '../i18n/index.ts'
import { fold } from '../text/fold.ts'

/** Unicode's own groups, in its order. */
export const GROUPS = ['smileys', 'people', 'nature', 'food', 'travel', 'activities', 'objects', 'symbols', 'flags'] as const
export type Group = (typeof GROUPS)[number]

export interface Emoji {
  emoji: string
  group: Group
  /** What it is called, in the language shown. */
  label: string
  /** Its names and what it stands for, each after a space, made comparable; in the language shown and in English. */
  words: string
}

/** Made by `emoji-words.mjs`; each is a part of the page of its own, which nobody reads who never looks for an emoji. */
const words: Record<Language, () => Promise<{ default: string }>> = {
  en: () => import('./words/en.txt?raw'),
  ko: () => import('./words/ko.txt?raw'),
  ja: () => import('./words/ja.txt?raw'),
  ar: () => import('./words/ar.txt?raw')
}
const read = new Map<Language, Promise<readonly Emoji[]>>()

/** All emojis with their words, read from this page's own server once somebody looks for one. */
export function emojisIn(language: Language): Promise<readonly Emoji[]> {
  const known = read.get(language)
  if (known) return known
  const emojis = load(language)
  read.set(language, emojis)
  emojis.catch(() => read.delete(language))
  return emojis
}

async function load(language: Language): Promise<readonly Emoji[]> {
  const [order, own, english] = await Promise.all([import('./order.txt?raw'), words[language](), words.en()])
  const [ofOwn, ofEnglish] = [calledIn(own.default), calledIn(english.default)]
  const emojis: Emoji[] = []
  let group: Group = 'smileys'
  for (const line of linesOf(order.default)) {
    if (line.startsWith('# ')) {
      group = line.slice(2) as Group
      continue
    }
    const called = ofOwn.get(line) ?? ofEnglish.get(line) ?? line
    const all = language === 'en' ? called : `${called}|${ofEnglish.get(line) ?? ''}`
    emojis.push({ emoji: line, group, label: called.split('|', 1)[0]!, words: ` ${fold(all).replaceAll(/[|:_-]+/g, ' ')}` })
  }
  return emojis
}

const linesOf = (text: string): string[] => text.split('\n').filter(line => line !== '')

/** Each line has an emoji, a space, its label and, after bars, what else it is called. */
function calledIn(text: string): Map<string, string> {
  return new Map(linesOf(text).map(line => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)]))
}

/** Scripts whose words are looked into, since they are not parted by spaces or begin with an article. */
const UNPARTED = /[\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Arabic}]/u

/** Emojis that have all words of a query, or their beginnings; those that are called so come first. */
export function searchEmojis(emojis: readonly Emoji[], query: string): readonly Emoji[] {
  const whole = fold(query).trim()
  const tokens = whole.split(/\s+/u).map(token => (UNPARTED.test(token.normalize('NFC')) ? token : ` ${token}`))
  const found = emojis.filter(({ emoji, words }) => emoji === query.trim() || tokens.every(token => words.includes(token)))
  const rank = ({ words }: Emoji): number => (!words.startsWith(` ${whole}`) ? 2 : `${words} `.startsWith(` ${whole} `) ? 0 : 1)
  return found
    .map(emoji => ({ emoji, rank: rank(emoji) }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ emoji }) => emoji)
}

const RECOMMENDED = /^\p{RGI_Emoji}$/v
const TAKES_TONE = /\p{Emoji_Modifier_Base}/u
export const TONES = ['', '\u{1f3fb}', '\u{1f3fc}', '\u{1f3fd}', '\u{1f3fe}', '\u{1f3ff}'] as const

/** The same emoji with a skin tone, where Unicode has it with one. */
export function withTone(emoji: string, tone: string): string {
  if (!tone || !TAKES_TONE.test(emoji)) return emoji
  const points = [...emoji]
  const toned = (isToned: (at: number) => boolean): string =>
    points
      .flatMap((point, at) => {
        if (TAKES_TONE.test(point) && isToned(at)) return [point, tone]
        // What asks for a picture gives way to the tone, which says the same.
        return point === '\ufe0f' && TAKES_TONE.test(points[at - 1] ?? '') && isToned(at - 1) ? [] : [point]
      })
      .join('')
  const first = points.findIndex(point => TAKES_TONE.test(point))
  return [toned(() => true), toned(at => at === first)].find(candidate => RECOMMENDED.test(candidate)) ?? emoji
}
