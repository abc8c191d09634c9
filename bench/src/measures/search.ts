import { SearchMessages } from '@parley/contracts'
import { Lifetime } from '@parley/test-kit'
import type { Bench, GrowthRow, Result } from '../bench.ts'
import { actorAt, conversationId, growHistory, LARGEST, makeHistory, PEOPLE, readerAt } from '../history.ts'
import { ask } from '../people.ts'
import { indexHistory } from '../search-index.ts'
import type { Apart } from '../servers.ts'
import { said, WORDS, wordAt } from '../vocabulary.ts'
import { compare, p95Within, type Question } from './growth.ts'

const SMALL = 10_000
const SIZE = 10_000_000
const SHORT_SIZE = 1_000_000
/** What one waits for a result: of so many messages at most so many milliseconds. */
const WITHIN_MS: Record<number, number> = { [SHORT_SIZE]: 50, [SIZE]: 150 }

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
 * How long a search takes in a long history, and in a short one asked in turn with it. The histories are in the index before
 * the stores start, which would be hours at it: their worker leaves most of the time to whoever sends.
 */
export async function search({ servers, pinning, isShort, say }: Bench): Promise<Result> {
  const life = new Lifetime()
  const size = isShort ? SHORT_SIZE : SIZE
  const open = async (name: string, messages: number): Promise<Searched> => {
    const tell = messages === size ? say : () => {}
    const apart = await servers.apart(life, name, database =>
      pinning.unpinned(servers.postgresPid, async () => {
        await makeHistory(database)
        await database.query(said)
        await growHistory(database, 0, messages, tell, 'bench_said(n)')
        await indexHistory(database, tell)
      })
    )
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
      verdicts: growth.map(row => p95Within(row, limit))
    }
  } finally {
    await life.end()
  }
}
