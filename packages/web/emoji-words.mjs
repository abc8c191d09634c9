// Writes src/emoji/order.txt and src/emoji/words/*.txt anew from what Unicode publishes. It is run by hand, after a new
// release of Unicode, in a folder that has the packages named below:
//
//   cd "$(mktemp -d)" && npm install cldr-annotations-full@48.2.0 cldr-annotations-derived-full@48.2.0 unicode-emoji-json@0.9.0
//   node <this repository>/packages/web/emoji-words.mjs
//
// The words come from CLDR, under the Unicode License v3 (https://www.unicode.org/license.txt).
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const LANGUAGES = ['en', 'ko', 'ja', 'ar']
const GROUPS = {
  'Smileys & Emotion': 'smileys',
  'People & Body': 'people',
  'Animals & Nature': 'nature',
  'Food & Drink': 'food',
  'Travel & Places': 'travel',
  Activities: 'activities',
  Objects: 'objects',
  Symbols: 'symbols',
  Flags: 'flags'
}
/** What most devices can draw: emojis of the last years are left out until they do. */
const VERSION_MAX = 15.1
/** The server takes no other reactions. */
const RECOMMENDED = /^\p{RGI_Emoji}$/v

const require = createRequire(join(process.cwd(), 'package.json'))
const read = path => JSON.parse(readFileSync(require.resolve(path), 'utf8'))
const target = new URL('src/emoji/', import.meta.url)

const emojis = []
const order = []
for (const { name, emojis: members } of read('unicode-emoji-json/data-by-group.json')) {
  order.push(`# ${GROUPS[name]}`)
  for (const { emoji, emoji_version } of members) {
    if (!RECOMMENDED.test(emoji) || Number(emoji_version) > VERSION_MAX) continue
    emojis.push(emoji)
    order.push(emoji)
  }
}
mkdirSync(new URL('words/', target), { recursive: true })
writeFileSync(new URL('order.txt', target), `${order.join('\n')}\n`)

for (const language of LANGUAGES) {
  const { annotations } = read(`cldr-annotations-full/annotations/${language}/annotations.json`).annotations
  const derived = read(`cldr-annotations-derived-full/annotationsDerived/${language}/annotations.json`).annotationsDerived.annotations
  const lines = []
  for (const emoji of emojis) {
    // CLDR writes emojis without the sign that asks for a picture.
    const bare = emoji.replaceAll('\ufe0f', '')
    const found = annotations[emoji] ?? annotations[bare] ?? derived[emoji] ?? derived[bare]
    if (!found) continue
    const label = found.tts?.[0] ?? found.default[0]
    const words = (found.default ?? []).filter(word => word !== label)
    lines.push(`${emoji} ${[label, ...words].map(word => word.replaceAll('|', ' ').trim()).join('|')}`)
  }
  writeFileSync(new URL(`words/${language}.txt`, target), `${lines.join('\n')}\n`)
  process.stdout.write(`${language}: ${lines.length} of ${emojis.length}\n`)
}
