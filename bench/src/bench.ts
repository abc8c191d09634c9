import { Lifetime } from './lifetime.ts'
import { Generator } from './load/generator.ts'
import { type ConversationOf, type Ran, TARGETS, type Target, type Watched } from './load/protocol.ts'
import type { Pinning } from './pinning.ts'
import type { Servers } from './servers.ts'

/** What a measure works with. */
export interface Bench {
  servers: Servers
  pinning: Pinning
  isShort: boolean
  /** Messages that were acknowledged by Parley, by conversation; the database is held against it at the end. */
  accepted: Map<string, number>
  say(text: string): void
}

/** One line of the table: a value for each round. */
export interface Row {
  what: string
  unit: string
  parley: number[]
  /** Empty where the baseline has no such thing. */
  baseline: number[]
  /** CPU of the load generator as a share of its core, the highest of all rounds and both targets. */
  loadShare: number
}

export type Measure = (bench: Bench) => Promise<Row[]>

/** Opens everyone's sockets at both servers, lets `work` put load on them, and closes them. */
export async function withLoad(
  { servers, pinning, accepted, say }: Bench,
  conversations: ConversationOf[],
  work: (generator: Generator) => Promise<void>
): Promise<void> {
  const life = new Lifetime()
  try {
    const generator = new Generator(life, pinning.loadPrefix)
    for (const target of TARGETS)
      await generator.order({ do: 'open', target, url: servers[doorOf(target)].url, conversations, watched: {} })
    say(`${conversations.reduce((sum, { members }) => sum + members.length, 0)} sockets at each of the two`)
    await work(generator)
    const closed = await generator.order({ do: 'close', target: 'parley' })
    for (const [id, count] of Object.entries(closed.accepted)) accepted.set(id, (accepted.get(id) ?? 0) + count)
    await generator.order({ do: 'close', target: 'baseline' })
  } finally {
    await life.end()
  }
}

const doorOf = (target: Target) => (target === 'parley' ? 'gateway' : 'baseline')

/** The processes that serve a target. */
export function watchedOf({ watched, baseline }: Servers, target: Target): Watched {
  return target === 'parley' ? watched : { baseline: { pid: baseline.pid } }
}

/** Rounds of both targets in turn. */
export interface Rounds {
  parley: Ran[]
  baseline: Ran[]
}

export function rowOf(what: string, unit: string, { parley, baseline }: Rounds, read: (ran: Ran) => number): Row {
  return {
    what,
    unit,
    parley: parley.map(read),
    baseline: baseline.map(read),
    loadShare: Math.max(...[...parley, ...baseline].map(({ loadShare }) => loadShare))
  }
}

/** CPU of all servers for one message of a load, and what each of Parley's processes has of it. `when` names the load. */
export function cpuRowsOf(when: string, rounds: Rounds, names: readonly string[]): Row[] {
  const row = (what: string, read: (ran: Ran) => number) => rowOf(what, 'µs', rounds, ran => read(ran) / ran.accepted)
  return [
    row(`CPU a message ${when}, all servers`, ran => Object.values(ran.cpu).reduce((sum, us) => sum + us, 0)),
    ...names.map(name => ({ ...row(`  of it ${name}`, ran => ran.cpu[name]!), baseline: [] }))
  ]
}

/** How busy the load generator was, and everyone else on the machine. */
export function sharesOf({ loadShare, otherShare }: Ran): string {
  const others = otherShare === undefined ? '' : `, other work ${percent(otherShare)}`
  return `load generator ${percent(loadShare)}${others} of a core`
}

export const percent = (share: number): string => `${Math.round(share * 100)} %`
