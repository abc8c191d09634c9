import { placeOf } from './fold.ts'
import { COMPOUND_MIN, PART } from './lexemes.ts'
import type { Term } from './query.ts'
import { type Analysis, analyse, type Run, type Word } from './runs.ts'

/** From one UTF-16 unit to before another. */
export type Span = readonly [from: number, to: number]

export interface Match {
  /** Where the terms stand in the content, in order and apart from each other. */
  spans: Span[]
  /** How well they fit, up to 1: whole words before stems, those before beginnings, those before parts. */
  rank: number
}

const WHOLE = 1
const STEM = 0.8
const BEGINNING = 0.6
const WITHIN = 0.4

interface Hit {
  span: Span
  rank: number
}

/** Finds every term in a content; undefined where one is missing. */
export function matchContent(content: string, terms: readonly Term[]): Match | undefined {
  const analysis = analyse(content)
  const spans: Span[] = []
  let rank = 0
  for (const term of terms) {
    const hits = hitsOf(analysis, term)
    if (hits.length === 0) return undefined
    rank += Math.max(...hits.map(hit => hit.rank))
    for (const { span } of hits) spans.push(placeOf(analysis.folded, ...span))
  }
  return { spans: merge(spans), rank: Math.round((rank / terms.length) * 1_000) / 1_000 }
}

function hitsOf({ folded, runs }: Analysis, term: Term): Hit[] {
  switch (term.kind) {
    case 'word':
      return runs.flatMap(run => (run.kind === 'word' ? wordHits(run, term.word) : []))
    case 'signs':
      return runs.flatMap(run => (run.kind === 'signs' ? signHits(run, term) : []))
    case 'phrase':
      return phraseHits({ folded, runs }, term.runs)
  }
}

function wordHits(there: Word, wanted: Word): Hit[] {
  const whole: Span = [there.from, there.to]
  for (const form of wanted.forms) if (there.forms.includes(form)) return [{ span: whole, rank: WHOLE }]
  if (wanted.text.length > 2 && there.text.length > 2 && there.stem === wanted.stem) return [{ span: whole, rank: STEM }]
  for (const form of wanted.forms) {
    // A single letter begins too many words to mean one of them.
    if (form.length < 2) continue
    for (const [index, other] of there.forms.entries()) {
      if (other.startsWith(form)) {
        return [{ span: index === 0 ? [there.from, there.from + form.length] : whole, rank: BEGINNING }]
      }
    }
  }
  for (const form of wanted.forms) {
    if (form.length < PART) continue
    for (const [index, other] of there.forms.entries()) {
      const at = other.length >= COMPOUND_MIN ? other.indexOf(form) : -1
      if (at !== -1) return [{ span: index === 0 ? [there.from + at, there.from + at + form.length] : whole, rank: WITHIN }]
    }
  }
  return []
}

function signHits(there: Run, { text, bare }: { text: string; bare: string }): Hit[] {
  const wanted = there.text.includes(text) ? text : bare
  const rank = wanted !== text ? STEM : there.text === text ? WHOLE : BEGINNING
  const hits: Hit[] = []
  for (let at = there.text.indexOf(wanted); at !== -1; at = there.text.indexOf(wanted, at + wanted.length)) {
    hits.push({ span: [there.from + at, there.from + at + wanted.length], rank })
  }
  return hits
}

/** Runs one after the other, whatever stands between them: the first of signs may begin within, the last end within. */
function phraseHits({ runs }: Analysis, wanted: Analysis['runs']): Hit[] {
  const hits: Hit[] = []
  for (let start = 0; start + wanted.length <= runs.length; start++) {
    let from = 0
    let to = 0
    const fits = wanted.every((run, n) => {
      const there = runs[start + n]!
      if (there.kind !== run.kind) return false
      if (run.kind === 'word') {
        if (there.text !== run.text) return false
        if (n === 0) from = there.from
        to = there.to
        return true
      }
      const isFirst = n === 0
      const isLast = n === wanted.length - 1
      const at = isFirst && isLast ? there.text.indexOf(run.text) : isFirst ? there.text.length - run.text.length : 0
      if (at < 0 || !there.text.startsWith(run.text, at) || (!isLast && at + run.text.length !== there.text.length)) return false
      if (isFirst) from = there.from + at
      to = there.from + at + run.text.length
      return true
    })
    if (fits) hits.push({ span: [from, to], rank: WHOLE })
  }
  return hits
}

function merge(spans: Span[]): Span[] {
  const merged: Span[] = []
  for (const [from, to] of spans.sort((a, b) => a[0] - b[0] || a[1] - b[1])) {
    const last = merged.at(-1)
    if (last && from <= last[1]) merged[merged.length - 1] = [last[0], Math.max(last[1], to)]
    else merged.push([from, to])
  }
  return merged
}

export interface Highlight {
  text: string
  ranges: [number, number][]
}

const HIGHLIGHTS_MAX = 3
/** Room before the first match and after the last one, as UTF-16 units. */
const ROOM = 60
const TEXT_MAX = 200

/** Pieces of a content around what was found, three at most. Ranges count UTF-16 units of their own piece's text. */
export function toHighlights(content: string, spans: readonly Span[]): Highlight[] {
  const pieces: { from: number; to: number; spans: Span[] }[] = []
  for (const [from, to] of spans) {
    const last = pieces.at(-1)
    if (last && from < last.to && to - last.from <= TEXT_MAX) {
      last.spans.push([from, to])
      last.to = Math.min(content.length, Math.max(last.to, to + ROOM), last.from + TEXT_MAX + ROOM)
    } else {
      if (pieces.length === HIGHLIGHTS_MAX) break
      pieces.push({ from: Math.max(last?.to ?? 0, from - ROOM), to: Math.min(content.length, to + ROOM), spans: [[from, to]] })
    }
  }
  return pieces.map(({ from, to, spans: found }) => {
    const [start, end] = [edge(content, from, found[0]![0]), edge(content, to, content.length)]
    return { text: content.slice(start, end), ranges: found.map(([a, b]) => [a - start, b - start]) }
  })
}

const JOINER = '\u200d'
const MARK = /[\p{M}\p{Emoji_Modifier}]/u

/** Moves a cut forward to where no character is cut in two, though not past `limit`. */
function edge(content: string, at: number, limit: number): number {
  let place = at
  while (place > 0 && place < limit) {
    const isHalf = (content.charCodeAt(place) & 0xfc00) === 0xdc00
    const isJoined = content[place] === JOINER || content[place - 1] === JOINER
    if (!isHalf && !isJoined && !MARK.test(String.fromCodePoint(content.codePointAt(place)!))) break
    place++
  }
  return place
}
