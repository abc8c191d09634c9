import { Lifetime } from '@parley/test-kit'
import { Generator } from './load/generator.ts'
import { type ConversationOf, type Ran, TARGETS, type Target } from './load/protocol.ts'
import type { Pinning } from './pinning.ts'
import type { Servers } from './servers.ts'
import type { Verdict } from './verdicts.ts'

/** What a measure works with. */
export interface Bench {
  servers: Servers
  pinning: Pinning
  isShort: boolean
  /** Messages that were acknowledged, by conversation; the databases of those who keep them are held against it at the end. */
  accepted: Record<Target, Map<string, number>>
  say(text: string): void
}

/** A value for each round; empty where a target has no such thing. */
export type ByTarget<V> = Record<Target, V[]>

/** One line of the table. */
export interface Row {
  what: string
  unit: string
  values: ByTarget<number>
  /** CPU of the load generator as a share of its core, the highest of all rounds and targets. */
  loadShare: number
}

/** How long a question takes as the history grows; times in milliseconds. */
export interface GrowthRow {
  what: string
  rows: number
  p50: number
  p95: number
  /** Of a database that stays small, asked in turn with the one that grows. */
  control: { p50: number; p95: number }
  /** Whether the target is for it as well, or it is told beside. */
  isHeld: boolean
}

export interface Result {
  rows: Row[]
  verdicts: Verdict[]
  growth?: GrowthRow[]
}

export type Measure = (bench: Bench) => Promise<Result>

export const byTarget = <V>(): ByTarget<V> => ({ parley: [], socketio: [], broadcast: [] })

/** The targets in turn, another one first in each round: nobody always comes after the same one. */
export const inTurn = (round: number): Target[] => TARGETS.map((_, place) => TARGETS[(place + round) % TARGETS.length]!)

/** Opens everyone's sockets at all servers, lets `work` put load on them, and closes them. */
export async function withLoad(
  bench: Bench,
  conversations: ConversationOf[],
  work: (generator: Generator) => Promise<void>
): Promise<void> {
  const { servers, pinning, accepted, say } = bench
  const life = new Lifetime()
  try {
    const generator = new Generator(life, pinning.loadPrefix)
    for (const target of TARGETS) {
      await generator.order({ do: 'open', target, urls: [servers.doors[target].url], conversations, watched: {} })
    }
    say(`${conversations.reduce((sum, { members }) => sum + members.length, 0)} sockets at each of the ${TARGETS.length}`)
    await work(generator)
    for (const target of TARGETS) count(accepted[target], (await generator.order({ do: 'close', target })).accepted)
  } finally {
    await life.end()
  }
}

export function count(all: Map<string, number>, accepted: Record<string, number>): void {
  for (const [id, more] of Object.entries(accepted)) all.set(id, (all.get(id) ?? 0) + more)
}

export function rowOf(what: string, unit: string, rounds: ByTarget<Ran>, read: (ran: Ran) => number): Row {
  return {
    what,
    unit,
    values: { parley: rounds.parley.map(read), socketio: rounds.socketio.map(read), broadcast: rounds.broadcast.map(read) },
    loadShare: Math.max(...TARGETS.flatMap(target => rounds[target].map(({ loadShare }) => loadShare)))
  }
}

export const cpuOf = ({ cpu }: Ran): number => Object.values(cpu).reduce((sum, us) => sum + us, 0)

/** CPU of all processes for one message of a load, and what each process has of it. `when` names the load. */
export function cpuRowsOf(when: string, rounds: ByTarget<Ran>): Row[] {
  const names = [...new Set(TARGETS.flatMap(target => rounds[target].flatMap(({ cpu }) => Object.keys(cpu))))]
  const row = (what: string, read: (ran: Ran) => number) => rowOf(what, 'µs', rounds, ran => read(ran) / ran.accepted)
  return [
    row(`CPU a message ${when}, all processes`, cpuOf),
    ...names.map(name => without(row(`  of it ${name}`, ({ cpu }) => cpu[name] ?? Number.NaN)))
  ]
}

/** Leaves out what a target does not have. */
export function without({ values, ...row }: Row): Row {
  const known = (numbers: number[]) => numbers.filter(value => !Number.isNaN(value))
  return { ...row, values: { parley: known(values.parley), socketio: known(values.socketio), broadcast: known(values.broadcast) } }
}

/** How busy the load generator was, and everyone else on the machine. */
export function sharesOf({ loadShare, otherShare }: Ran): string {
  const others = otherShare === undefined ? '' : `, other work ${percent(otherShare)}`
  return `load generator ${percent(loadShare)}${others} of a core`
}

export const percent = (share: number): string => `${Math.round(share * 100)} %`
