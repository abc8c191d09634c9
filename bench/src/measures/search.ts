import { SearchMessages } from '@parley/contracts'
import { Lifetime } from '@parley/test-kit'
import type pg from 'pg'
import type { Bench, GrowthRow, Result } from '../bench.ts'
import { Watch } from '../cpu.ts'
import { actorAt, conversationId, growHistory, LARGEST, makeHistory, PEOPLE, readerAt } from '../history.ts'
import { ask } from '../people.ts'
import type { Apart } from '../servers.ts'
import { said, WORDS, wordAt } from '../vocabulary.ts'
import { compare, type Question } from './growth.ts'

const SMALL = 10_000
const SIZE = 10_000_000
const SHORT_SIZE = 1_000_000
/** What one waits for a result: of so many messages at most so many milliseconds. */
const WITHIN_MS: Record<number, number> = { [SHORT_SIZE]: 50, [SIZE]: 150 }
const INDEXED_WITHIN_MS = 4 * 3_600_000

const largest = conversationId(LARGEST)
const inLargest = (what: string, q: (turn: number) => string, before = false): Question => ({
  what: `${what}, in one conversation`,
  isHeld: true,
  ask: async ({ nats, middle }: Searched, turn) =>
    ask(nats, SearchMessages, {
      actor: readerAt(turn),
      query: { q: q(turn), conversation_id: largest, ...(before && { before: middle }) }
    })
})
const inAll = (what: string, q: (turn: number) => string): Question => ({
  what: `${what}, in all`,
  isHeld: true,
  ask: ({ nats }, turn) => ask(nats, SearchMessages, { actor: actorAt((turn * 7) % PEOPLE), query: { q: q(turn) } })
})

const everywhere = () => wordAt('latin', 0)
const sometimes = (turn: number) => wordAt('latin', 300 + (turn % 200))
const rarely = (turn: number) => wordAt('latin', WORDS - 1 - (turn % 1_000))
const QUESTIONS: readonly Question[] = [
  inLargest('a word that everyone says', everywhere),
  inAll('a word that everyone says', everywhere),
  inLargest('a common word', sometimes),
  inAll('a common word', sometimes),
  inLargest('a rare word', rarely),
  inAll('a rare word', rarely),
  inLargest('a common word, from the middle on', sometimes, true),
  inLargest('two common words', turn => `${sometimes(turn)} ${sometimes(turn + 1)}`),
  inAll('a phrase', turn => `"${everywhere()} ${sometimes(turn)}"`),
  inAll('the beginning of a word', turn => sometimes(turn).slice(0, 3)),
  inAll('two Korean syllables', turn => wordAt('korean', 300 + (turn % 200)).slice(0, 2)),
  inLargest('two Chinese signs', turn => wordAt('chinese', 300 + (turn % 200))),
  inAll('a word that nobody said', turn => `xyzzy${turn}`)
]

/** A store whose history is in the index, with a message from the middle of its largest conversation. */
type Searched = Apart & { middle: string }

/**
 * How long a search takes in a long history, and in a short one asked in turn with it. The histories are there before the
 * stores start, which then fill the index themselves, as after an upgrade; how fast they do is told.
 */
export async function search({ servers, isShort, say }: Bench): Promise<Result> {
  const life = new Lifetime()
  const size = isShort ? SHORT_SIZE : SIZE
  const open = async (name: string, messages: number): Promise<Searched> => {
    const apart = await servers.apart(life, name, async database => {
      await makeHistory(database)
      await database.query(said)
      await growHistory(database, 0, messages, messages === size ? say : () => {}, 'bench_said(n)')
    })
    await untilIndexed(apart, messages, messages === size ? say : () => {})
    const { rows } = await apart.database.query('select id from messages where conversation_id = $1 and seq = $2', [largest, messages / 20])
    return { ...apart, middle: rows[0].id }
  }
  try {
    const control = await open('search_control', SMALL)
    const grown = await open('search', size)
    const growth: GrowthRow[] = []
    for (const question of QUESTIONS) {
      const row = await compare(question, { grown, control, size, times: isShort ? 200 : 1_000 })
      say(
        `${row.what}: p50 ${row.p50.toFixed(1)}, p95 ${row.p95.toFixed(1)} ms; of ${SMALL.toLocaleString('en')}: ${row.control.p95.toFixed(1)}`
      )
      growth.push(row)
    }
    const limit = WITHIN_MS[size]!
    return {
      rows: [],
      growth,
      verdicts: growth.map(({ what, p95, rows }) => ({
        what: `search: ${what}, p95 at ${rows.toLocaleString('en')} messages`,
        wanted: `at most ${limit} ms`,
        found: `${p95.toFixed(1)} ms`,
        isReached: p95 <= limit
      }))
    }
  } finally {
    await life.end()
  }
}

/** Waits until all that can be found is in the index, and tells what that cost. */
async function untilIndexed({ database, pid }: Apart, messages: number, say: (text: string) => void): Promise<void> {
  const watch = new Watch({ store: { pid } })
  let toldAt = Date.now()
  for (const until = Date.now() + INDEXED_WITHIN_MS; ; ) {
    const done = await countIndexed(database)
    if (done >= messages) break
    if (Date.now() > until) throw new Error(`only ${done} of ${messages} messages came into the index`)
    if (Date.now() - toldAt > 30_000) {
      toldAt = Date.now()
      say(`${done.toLocaleString('en')} messages in the index`)
    }
    await new Promise(resolve => setTimeout(resolve, 500))
  }
  const { seconds, cpu } = watch.read()
  await database.query('vacuum (analyze) message_search')
  await database.query('checkpoint')
  const { rows } = await database.query(
    `select pg_size_pretty(pg_table_size('message_search')) as data, pg_size_pretty(pg_relation_size('message_search_lexemes')) as gin,
       pg_size_pretty(pg_relation_size('message_search_pkey')) as key`
  )
  say(
    `${messages.toLocaleString('en')} messages indexed in ${Math.round(seconds)} s, ${Math.round(cpu.store! / messages)} µs of the store's CPU each; ` +
      `table ${rows[0].data}, lexemes ${rows[0].gin}, key ${rows[0].key}`
  )
}

async function countIndexed(database: pg.Client): Promise<number> {
  const { rows } = await database.query('select coalesce(sum(seq), 0)::bigint as done from search_progress')
  return Number(rows[0].done)
}
