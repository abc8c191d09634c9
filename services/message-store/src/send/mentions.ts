import { NAME_MAX } from '@parley/contracts'
import { type Kysely, sql } from '@parley/pg-kit'
import type { Tables } from '../db.ts'

/** More people than that are called by `@all`. */
export const MENTIONS_MAX = 100

/** Whom a text calls: people of its conversation by their usernames, and with `@all` everyone. */
export interface Mentions {
  user_ids: string[]
  all: boolean
}

/** A text in a conversation. */
export interface Text {
  conversation_id: string
  content: string
}

export const NOBODY: Mentions = { user_ids: [], all: false }

interface Candidate {
  conversation_id: string
  user_id: string
  username: string
}

/** How often one text may call, and how many words a name may have: so much is looked for and no more, whatever is written. */
const CALLS_MAX = 200
const WORDS_MAX = 8

/**
 * Whom texts call, in their order. Asks nothing where no text has an `@`, which is nearly always; otherwise it is one query
 * for the names that stand in them, however long the texts: people send through one lane, and nobody may hold it up.
 */
export async function findMentions(db: Kysely<Tables>, texts: readonly Text[]): Promise<Mentions[]> {
  const calling = texts.filter(({ content }) => content.includes('@'))
  if (calling.length === 0) return texts.map(() => NOBODY)
  const conversations = [...new Set(calling.map(({ conversation_id }) => conversation_id))]
  const names = [...new Set(calling.flatMap(({ content }) => callsIn(content).flat()))]
  const { rows } = await sql<Candidate>`
    select p.conversation_id, p.user_id, u.username from participants p join users u on u.org_id = p.org_id and u.id = p.user_id
    where p.conversation_id = any(${conversations}::uuid[]) and p.is_active and lower(u.username) = any(array(select lower(n) from unnest(${names}::text[]) n))
    order by p.user_id`.execute(db)
  const people = Map.groupBy(rows, ({ conversation_id }) => conversation_id)
  return texts.map(({ conversation_id, content }) =>
    content.includes('@') ? readMentions(content, people.get(conversation_id) ?? []) : NOBODY
  )
}

const IN_WORD = /[\p{L}\p{M}\p{N}_]/u
/** Behind a word, and where a blank or nothing follows ("Ann K."). */
const NAME_END = /(?<=[\p{L}\p{M}\p{N}_])(?![\p{L}\p{M}\p{N}_])|(?<=\S)(?=\s|$)/gu
const ALL = 'all'

/**
 * Where a text calls, and for each place what may be the name: all that follows up to the end of one of the next words, the
 * longest first. An `@` in the midst of a word calls nobody (an address of mail), nor is a part of a word a name (`@ann` does
 * not call Anna).
 */
export function callsIn(content: string): string[][] {
  const calls: string[][] = []
  for (let at = content.indexOf('@'); at !== -1 && calls.length < CALLS_MAX; at = content.indexOf('@', at + 1)) {
    if (IN_WORD.test(charBefore(content, at))) continue
    const rest = content.slice(at + 1, at + 1 + NAME_MAX + 1)
    const names: string[] = []
    for (const { index } of rest.matchAll(NAME_END)) {
      if (index > NAME_MAX || names.length === WORDS_MAX) break
      names.unshift(rest.slice(0, index))
    }
    calls.push(names)
  }
  return calls
}

/**
 * Reads the mentions of a text; of names that fit at one place the longest is meant.
 *
 * @param people of the conversation, whoever may be meant
 */
export function readMentions(content: string, people: readonly { user_id: string; username: string }[]): Mentions {
  const byName = Map.groupBy(people, ({ username }) => username.toLowerCase())
  const user_ids = new Set<string>()
  let all = false
  for (const names of callsIn(content)) {
    const name = names.map(name => name.toLowerCase()).find(name => name === ALL || byName.has(name))
    if (name === ALL) all = true
    for (const { user_id } of byName.get(name ?? '') ?? []) if (user_ids.size < MENTIONS_MAX) user_ids.add(user_id)
  }
  return { user_ids: [...user_ids], all }
}

function charBefore(text: string, index: number): string {
  const before = text.slice(Math.max(0, index - 2), index)
  return [...before].at(-1) ?? ' '
}
