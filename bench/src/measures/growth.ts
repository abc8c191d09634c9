import { GetChanges, GetMe, ListConversations, ListMessages } from '@parley/contracts'
import { Lifetime } from '@parley/test-kit'
import type pg from 'pg'
import type { Bench, GrowthRow, Result } from '../bench.ts'
import { actorAt, conversationId, growHistory, LARGEST, makeHistory, NEVER_READ, PEOPLE, readerAt } from '../history.ts'
import { Histogram } from '../load/histogram.ts'
import { ask } from '../people.ts'
import type { Apart } from '../servers.ts'
import type { Verdict } from '../verdicts.ts'

const SMALL = 10_000
const SIZES = [SMALL, 100_000, 1_000_000, 10_000_000]
const SHORT_SIZES = SIZES.slice(0, 3)
/** Flat is: within a fifth of what it costs in a small history. */
const FACTOR_MAX = 1.2
const PAGE = 50
const CHANGES = 200

/** Where the milliseconds that people were promised are held to: the history of an installation of some years. */
const PROMISED_AT = 1_000_000

/** One question to the message-store. `turn` says which time it is asked, `last_seq` the end of the largest conversation. */
export interface Question {
  what: string
  isHeld: boolean
  /** What p95 may be with a million messages, in ms. */
  withinMs?: number
  ask(of: Apart, turn: number, last_seq: number): Promise<unknown>
}

const largest = conversationId(LARGEST)

const QUESTIONS: readonly Question[] = [
  {
    what: 'page of history',
    isHeld: true,
    withinMs: 500,
    ask: ({ nats }, turn) => ask(nats, ListMessages, { actor: readerAt(turn), conversation_id: largest, query: { limit: PAGE } })
  },
  {
    what: 'deep page',
    isHeld: true,
    withinMs: 500,
    ask: ({ nats }, turn, last_seq) =>
      ask(nats, ListMessages, {
        actor: readerAt(turn),
        conversation_id: largest,
        query: { limit: PAGE, before: `${placeAt(turn, PAGE + 1, last_seq)}` }
      })
  },
  {
    what: 'unread total',
    isHeld: true,
    withinMs: 100,
    ask: ({ nats }, turn) => ask(nats, GetMe, { actor: actorAt(placeAt(turn, 0, PEOPLE - 1)) })
  },
  {
    what: 'conversation list',
    isHeld: true,
    withinMs: 300,
    ask: ({ nats }, turn) => ask(nats, ListConversations, { actor: actorAt(placeAt(turn, 0, PEOPLE - 1)), query: {} })
  },
  {
    what: 'changes',
    isHeld: true,
    // A message's version is its seq + 1 here.
    ask: ({ nats }, turn, last_seq) =>
      ask(nats, GetChanges, {
        actor: readerAt(turn),
        conversation_id: largest,
        query: { since: last_seq + 1 - CHANGES, limit: CHANGES }
      })
  },
  {
    what: 'page at a date',
    isHeld: false,
    ask: ({ nats }, turn) =>
      ask(nats, ListMessages, {
        actor: readerAt(turn),
        conversation_id: largest,
        query: { limit: PAGE, before: new Date(Date.now() - placeAt(turn, 1, 289) * 86_400_000).toISOString() }
      })
  },
  { what: 'unread total, who never read', isHeld: false, ask: ({ nats }) => ask(nats, GetMe, { actor: actorAt(NEVER_READ) }) }
]

/**
 * Whether what people ask costs the same however long the history is. Two message-stores with a database each get the same
 * questions in turn: one database grows, the other stays at 10,000 messages, so that what the machine does besides is in both.
 */
export async function growth({ servers, isShort, say }: Bench): Promise<Result> {
  const life = new Lifetime()
  try {
    const control = await servers.apart(life, 'growth_control')
    const grown = await servers.apart(life, 'growth')
    for (const { database } of [control, grown]) {
      await makeHistory(database)
    }
    await growHistory(control.database, 0, SMALL, () => {})
    await passSearch(control.database)
    const growth: GrowthRow[] = []
    let from = 0
    for (const size of isShort ? SHORT_SIZES : SIZES) {
      await growHistory(grown.database, from, size, say)
      await passSearch(grown.database)
      from = size
      for (const question of QUESTIONS) growth.push(await compare(question, { grown, control, size, times: isShort ? 300 : 1_000 }))
    }
    const final = growth.filter(({ rows, isHeld }) => rows === from && isHeld)
    const flat = final.map(({ what, p95, control, rows }) => ({
      what: `${what}, p95 at ${rows.toLocaleString('en')} messages`,
      wanted: `at most ${FACTOR_MAX} × that at ${SMALL.toLocaleString('en')}`,
      found: `${(p95 / control.p95).toFixed(2)} ×`,
      isReached: p95 / control.p95 <= FACTOR_MAX
    }))
    const promised = QUESTIONS.flatMap(({ what, withinMs }) => {
      const row = growth.find(({ what: asked, rows }) => asked === what && rows === PROMISED_AT)
      return row && withinMs !== undefined ? [p95Within(row, withinMs)] : []
    })
    return { rows: [], growth, verdicts: [...flat, ...promised] }
  } finally {
    await life.end()
  }
}

export function p95Within({ what, rows, p95 }: GrowthRow, limitMs: number): Verdict {
  return {
    what: `${what}, p95 at ${rows.toLocaleString('en')} messages`,
    wanted: `at most ${limitMs} ms`,
    found: `${p95.toFixed(1)} ms`,
    isReached: p95 <= limitMs
  }
}

/** Counts all messages as indexed, or the store would begin to index them while it is asked; `search` is a measure of its own. */
async function passSearch(database: pg.Client): Promise<void> {
  await database.query(`
    insert into search_progress (conversation_id, seq) select id, last_seq from conversations
    on conflict (conversation_id) do update set seq = excluded.seq`)
}

export interface Asked {
  grown: Apart
  control: Apart
  size: number
  times: number
}

export async function compare({ what, isHeld, ask }: Question, { grown, control, size, times }: Asked): Promise<GrowthRow> {
  const sides = [
    { of: grown, last_seq: size / 10, took: new Histogram() },
    { of: control, last_seq: SMALL / 10, took: new Histogram() }
  ] as const
  const warmUp = times / 10
  for (let turn = 0; turn < times + warmUp; turn++) {
    // Each goes first every other time.
    for (const { of, last_seq, took } of turn % 2 === 0 ? sides : sides.toReversed()) {
      const startedAt = performance.now()
      await ask(of, turn, last_seq)
      if (turn >= warmUp) took.add((performance.now() - startedAt) * 1_000)
    }
  }
  const [ours, beside] = sides.map(({ took }) => ({ p50: took.quantile(0.5), p95: took.quantile(0.95) }))
  return { what, rows: size, ...ours!, control: beside!, isHeld }
}

/** A place between two, another one each turn and the same ones in every run. */
const placeAt = (turn: number, from: number, to: number): number =>
  from + Math.floor(((Math.imul(turn + 1, 2_654_435_761) >>> 0) / 2 ** 32) * (to - from + 1))
