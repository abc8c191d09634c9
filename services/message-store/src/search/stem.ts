/**
 * The stem of an English word, so that "running" finds "run": the algorithm of M. F. Porter (1980). Words of other languages
 * that use these letters are cut by it too, which does no harm: what is asked is cut in the same way, and a stem is found
 * beside the word, never in its place.
 */
export function stem(word: string): string {
  if (word.length < 3 || word.length > LONGEST) return word
  let cut = known.get(word)
  if (cut === undefined) {
    cut = ENGLISH.test(word) ? step5(step4(step3(step2(step1(word.replace(/^y/, 'Y')))))).toLowerCase() : word
    // Most of what is said is said in few words. Those come first, so what comes later need not be kept.
    if (known.size < KNOWN_MAX) known.set(word, cut)
  }
  return cut
}

const LONGEST = 30
const ENGLISH = /^[a-z]+$/
const known = new Map<string, string>()
const KNOWN_MAX = 20_000

const C = '[^aeiou]'
const V = '[aeiouy]'
const CS = `${C}[^aeiouy]*`
const VS = `${V}[aeiou]*`
/** How often vowels are followed by consonants: at least once, exactly once, more than once. */
const ONCE_OR_MORE = new RegExp(`^(?:${CS})?${VS}${CS}`)
const ONCE = new RegExp(`^(?:${CS})?${VS}${CS}(?:${VS})?$`)
const TWICE_OR_MORE = new RegExp(`^(?:${CS})?${VS}${CS}${VS}${CS}`)
const HAS_VOWEL = new RegExp(`^(?:${CS})?${V}`)
const SHORT_END = new RegExp(`^${CS}${V}[^aeiouwxy]$`)

const STEP_2: readonly [end: string, by: string][] = Object.entries({
  ational: 'ate',
  tional: 'tion',
  enci: 'ence',
  anci: 'ance',
  izer: 'ize',
  bli: 'ble',
  alli: 'al',
  entli: 'ent',
  eli: 'e',
  ousli: 'ous',
  ization: 'ize',
  ation: 'ate',
  ator: 'ate',
  alism: 'al',
  iveness: 'ive',
  fulness: 'ful',
  ousness: 'ous',
  aliti: 'al',
  iviti: 'ive',
  biliti: 'ble',
  logi: 'log'
})
const STEP_3: readonly [end: string, by: string][] = Object.entries({
  icate: 'ic',
  ative: '',
  alize: 'al',
  iciti: 'ic',
  ical: 'ic',
  ful: '',
  ness: ''
})
const STEP_4 = /^(.+?)(?:al|ance|ence|er|ic|able|ible|ant|ement|ment|ent|ou|ism|ate|iti|ous|ive|ize)$/
const STEP_4_ION = /^(.+?[st])ion$/

function step1(word: string): string {
  let cut = word.replace(/^(.+?)(ss|i)es$/, '$1$2').replace(/^(.+?)([^s])s$/, '$1$2')
  const eed = /^(.+?)eed$/.exec(cut)
  const past = /^(.+?)(?:ed|ing)$/.exec(cut)
  if (eed) {
    if (ONCE_OR_MORE.test(eed[1]!)) cut = cut.slice(0, -1)
  } else if (past && HAS_VOWEL.test(past[1]!)) {
    cut = past[1]!
    if (/(?:at|bl|iz)$/.test(cut) || SHORT_END.test(cut)) cut += 'e'
    else if (/([^aeiouylsz])\1$/.test(cut)) cut = cut.slice(0, -1)
  }
  const y = /^(.+?)y$/.exec(cut)
  return y && HAS_VOWEL.test(y[1]!) ? `${y[1]}i` : cut
}

const step2 = (word: string): string => replaceEnd(word, STEP_2)
const step3 = (word: string): string => replaceEnd(word, STEP_3)

/** The longest of the ends that a word has is replaced, where enough is left before it. */
function replaceEnd(word: string, ends: readonly [end: string, by: string][]): string {
  let longest: readonly [end: string, by: string] | undefined
  for (const pair of ends) if (word.endsWith(pair[0]) && pair[0].length > (longest?.[0].length ?? 0)) longest = pair
  if (!longest) return word
  const rest = word.slice(0, -longest[0].length)
  return ONCE_OR_MORE.test(rest) ? rest + longest[1] : word
}

function step4(word: string): string {
  const rest = STEP_4.exec(word)?.[1] ?? STEP_4_ION.exec(word)?.[1]
  return rest !== undefined && TWICE_OR_MORE.test(rest) ? rest : word
}

function step5(word: string): string {
  let cut = word
  const e = /^(.+?)e$/.exec(cut)?.[1]
  if (e !== undefined && (TWICE_OR_MORE.test(e) || (ONCE.test(e) && !SHORT_END.test(e)))) cut = e
  return cut.endsWith('ll') && TWICE_OR_MORE.test(cut) ? cut.slice(0, -1) : cut
}
