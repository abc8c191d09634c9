const HUES = 10

/** The first letters of the first and the last word, whole characters of any script. */
export function initials(name: string): string {
  const words = name.trim().split(/\s+/u).filter(Boolean)
  const first = firstCharacter(words[0])
  // One Han, Hangul or Kana character says as much as two Latin ones.
  if (/[\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}]/u.test(first)) return first
  return (first + (words.length > 1 ? firstCharacter(words.at(-1)) : '')).toLocaleUpperCase()
}

function firstCharacter(word = ''): string {
  const [first] = new Intl.Segmenter().segment(word)
  return first?.segment ?? '?'
}

/** A colour for life: the same id has the same one on every device. */
export function hue(id: string): number {
  let hash = 0
  for (const character of id) hash = (hash * 31 + character.codePointAt(0)!) >>> 0
  return hash % HUES
}
