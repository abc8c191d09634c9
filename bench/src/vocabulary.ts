/** So many words has each language; how often one is said falls with its number, as in what people write. */
export const WORDS = 20_000

type Language = 'latin' | 'korean' | 'chinese'

const mixed = (n: number, salt: number): number => Math.imul(n + 1, 2_654_435_761 + 2 * salt) >>> 0
const pick = (signs: string, n: number): string => signs[n % signs.length]!

function latin(n: number): string {
  const syllables = 1 + (mixed(n, 1) % 3) + (n > 200 ? 1 : 0)
  let word = ''
  for (let at = 0; at < syllables; at++) {
    const chance = mixed(n, 7 + at)
    word += pick('bcdfghklmnprstvw', chance >>> 3) + pick('aeiou', chance >>> 9) + (chance % 3 === 0 ? pick('nrst', chance >>> 13) : '')
  }
  return word
}

const korean = (n: number): string =>
  Array.from({ length: 2 + (n % 3) }, (_, at) => String.fromCodePoint(0xac00 + ((mixed(n, 31 + at) >>> 5) % 1_200) * 9)).join('')
const chinese = (n: number): string =>
  Array.from({ length: 2 }, (_, at) => String.fromCodePoint(0x4e00 + ((mixed(n, 57 + at) >>> 7) % 2_500))).join('')

export const wordAt = (language: Language, n: number): string =>
  n === 0 && language === 'latin' ? 'the' : { latin, korean, chinese }[language](n)

const listOf = (language: Language): string => `array[${Array.from({ length: WORDS }, (_, n) => `'${wordAt(language, n)}'`).join(',')}]`

/** So many different things are said, over and over: making up each one of ten million took longer than storing them. */
const SAYINGS = 100_000

/**
 * SQL that makes `bench_said(n)`, what message n says: ten words, of which the first ones are by far the most frequent; 7 of 10
 * messages in Latin letters, 2 in Korean, 1 in Chinese, without spaces. Every one in Latin letters says "the".
 */
export const said = `
  create table bench_words as select language, n::integer as n, word from (
    select 'latin' as language, n - 1 as n, word from unnest(${listOf('latin')}) with ordinality as x (word, n)
    union all select 'korean', n - 1, word from unnest(${listOf('korean')}) with ordinality as x (word, n)
    union all select 'chinese', n - 1, word from unnest(${listOf('chinese')}) with ordinality as x (word, n)
  ) words;
  create unique index bench_words_n on bench_words (language, n) include (word);
  analyze bench_words;
  create table bench_sayings as
    select said.n, case when language = 'latin' then 'the ' else '' end || string_agg(word, case when language = 'chinese' then '' else ' ' end) as saying
    from (
      select n, case when n % 10 < 7 then 'latin' when n % 10 < 9 then 'korean' else 'chinese' end as language,
        floor(${WORDS} * power((hashint8(n * 10 + at) & 2147483647) / 2147483648.0, 4))::integer as place
      from generate_series(0, ${SAYINGS - 1}) n, generate_series(0, 9) at
    ) said join bench_words w using (language) where w.n = place
    group by said.n, language;
  create unique index bench_sayings_n on bench_sayings (n) include (saying);
  analyze bench_sayings;
  create function bench_said(message bigint) returns text stable language sql as $$
    select saying from bench_sayings where n = message % ${SAYINGS}
  $$;`
