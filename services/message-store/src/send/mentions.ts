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
  o: number
  user_id: string
  username: string
}

/**
 * Whom texts call, in their order. Asks nothing where no text has an `@`, which is nearly always; otherwise it is one query
 * for those that have one.
 */
export async function findMentions(db: Kysely<Tables>, texts: readonly Text[]): Promise<Mentions[]> {
  const found = texts.map(() => NOBODY)
  const calling = texts.flatMap(({ content }, index) => (content.includes('@') ? [index] : []))
  if (calling.length === 0) return found
  const { rows } = await sql<Candidate>`
    select i.o::integer as o, x.user_id, x.username
    from unnest(${calling.map(index => texts[index]!.conversation_id)}::uuid[], ${calling.map(index => texts[index]!.content)}::text[])
      with ordinality as i (c, content, o)
    cross join lateral (
      select p.user_id, u.username from participants p join users u on u.org_id = p.org_id and u.id = p.user_id
      where p.conversation_id = i.c and p.is_active and strpos(lower(i.content), '@' || lower(u.username)) > 0
      order by length(u.username) desc, p.user_id limit ${10 * MENTIONS_MAX}
    ) x`.execute(db)
  const candidates = Map.groupBy(rows, ({ o }) => o)
  calling.forEach((index, place) => {
    found[index] = readMentions(texts[index]!.content, candidates.get(place + 1) ?? [])
  })
  return found
}

const IN_WORD = /[\p{L}\p{N}_]/u
const ALL = 'all'

/**
 * Reads the mentions of a text. An `@` in the midst of a word is none (an address of mail), nor is a name that goes on
 * after it (`@ann` does not call Anna); of names that fit at one place the longest is meant.
 *
 * @param people of the conversation, whoever may be meant
 */
export function readMentions(content: string, people: readonly { user_id: string; username: string }[]): Mentions {
  const text = content.toLowerCase()
  const names = new Map<string, string[]>([[ALL, []]])
  for (const { user_id, username } of people) {
    const name = username.toLowerCase()
    if (name !== '') names.set(name, [...(names.get(name) ?? []), user_id])
  }
  const byLength = [...names].sort(([a], [b]) => b.length - a.length)
  const user_ids = new Set<string>()
  let all = false
  for (let at = text.indexOf('@'); at !== -1; at = text.indexOf('@', at + 1)) {
    if (IN_WORD.test(charBefore(text, at))) continue
    const meant = byLength.find(([name]) => text.startsWith(name, at + 1) && !IN_WORD.test(charAt(text, at + 1 + name.length)))
    if (!meant) continue
    const [name, ids] = meant
    if (ids.length === 0 || name === ALL) all = true
    for (const id of ids) if (user_ids.size < MENTIONS_MAX) user_ids.add(id)
  }
  return { user_ids: [...user_ids], all }
}

const charAt = (text: string, index: number): string => String.fromCodePoint(text.codePointAt(index) ?? 0x20)

function charBefore(text: string, index: number): string {
  const before = text.slice(Math.max(0, index - 2), index)
  return [...before].at(-1) ?? ' '
}
