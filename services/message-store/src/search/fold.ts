/** A text as it is searched. `places[2 * i]` and the next are the ends of what became its unit i; absent where nothing moved. */
export interface Folded {
  readonly text: string
  readonly places?: readonly number[]
}

/** A character with what belongs to it: marks, the sound marks of half-width kana, vowels and finals of split Hangul. */
const CLUSTER = /[^\p{M}\uff9e\uff9f\u1160-\u11ff][\p{M}\uff9e\uff9f\u1160-\u11ff]*|[\p{M}\uff9e\uff9f\u1160-\u11ff]+/gu
// Accents of Latin and Greek, stress marks, Hebrew points, Arabic vowel signs and tatweel, variation selectors, whatever has no width.
// Vowel signs of Thai and the scripts of India are letters and stay.
const DROPPED = new RegExp(
  '[\\u0300-\\u036f\\u0591-\\u05bd\\u05bf\\u05c1\\u05c2\\u05c4\\u05c5\\u05c7\\u0610-\\u061a\\u0640\\u064b-\\u065f\\u0670\\u06d6-\\u06dc' +
    '\\u06df-\\u06e8\\u06ea-\\u06ed\\u1ab0-\\u1aff\\u1dc0-\\u1dff\\u20d0-\\u20f0\\ufe00-\\ufe0f]|\\p{Cf}',
  'gu'
)
/** What no decomposition brings together, though people write one for the other. */
const SAME = new Map<string, string>([
  ...Object.entries({ ß: 'ss', ı: 'i', æ: 'ae', œ: 'oe', ø: 'o', đ: 'd', ð: 'd', ł: 'l', þ: 'th', ħ: 'h', ŋ: 'n', ς: 'σ' }),
  ...Object.entries({ ٱ: 'ا', ى: 'ي', ی: 'ي', ة: 'ه', ک: 'ك' }),
  ...digits(0x0660),
  ...digits(0x06f0),
  ...katakana()
])
/** Clusters folded before. Bounded: what does not fit is folded again each time. */
const known = new Map<string, string>()
const KNOWN_MAX = 20_000
const CLUSTER_MAX = 8
const ASCII = /^[\u0000-\u007f]*$/

/**
 * Folds a text for search, the one place where that happens, for what is written and what is asked alike: width and
 * compatibility forms, case, accents, Arabic vowel signs and letter variants, kana of either kind. Each cluster is folded by
 * itself, so that every unit knows where it comes from.
 */
export function fold(text: string): Folded {
  if (ASCII.test(text)) return { text: text.toLowerCase() }
  let folded = ''
  const places: number[] = []
  let at = 0
  for (const [cluster] of text.matchAll(CLUSTER)) {
    const unit = foldCluster(cluster)
    folded += unit
    for (let n = 0; n < unit.length; n++) places.push(at, at + cluster.length)
    at += cluster.length
  }
  return { text: folded, places }
}

/** Where a stretch of a folded text stands in what people wrote, as UTF-16 units. */
export function placeOf({ places }: Folded, from: number, to: number): [from: number, to: number] {
  return places ? [places[2 * from]!, places[2 * to - 1]!] : [from, to]
}

function foldCluster(cluster: string): string {
  let folded = known.get(cluster)
  if (folded === undefined) {
    // й is a letter of its own, not an и with an accent.
    const bare = cluster.normalize('NFKD').toLowerCase().replaceAll('и\u0306', 'й').replace(DROPPED, '')
    folded = Array.from(bare, letter => SAME.get(letter) ?? letter)
      .join('')
      .normalize('NFC')
    if (known.size < KNOWN_MAX && cluster.length <= CLUSTER_MAX) known.set(cluster, folded)
  }
  return folded
}

function digits(zero: number): [string, string][] {
  return Array.from({ length: 10 }, (_, n) => [String.fromCodePoint(zero + n), `${n}`])
}

function katakana(): [string, string][] {
  return Array.from({ length: 0x30f7 - 0x30a1 }, (_, n) => [String.fromCodePoint(0x30a1 + n), String.fromCodePoint(0x3041 + n)])
}
