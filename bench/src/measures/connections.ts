import { setTimeout as delay } from 'node:timers/promises'
import { Lifetime } from '@parley/test-kit'
import { type Bench, type ByTarget, byTarget, inTurn, percent, type Result, type Row, without } from '../bench.ts'
import { residentKb } from '../cpu.ts'
import { Generator } from '../load/generator.ts'
import { CONNECTS_IN_FLIGHT, type ConversationOf, type Opened, TARGETS, type Target } from '../load/protocol.ts'
import { makeConversations } from '../people.ts'
import { atLeastTimes, atMost } from '../verdicts.ts'

const PEOPLE_EACH = 10
const COUNTS = [2_000, 5_000]
const SHORT_COUNTS = [1_000]
const WARM_UP = 200

/** S4: what a socket costs that says nothing, and how fast they come in; at servers that have done nothing else. */
export async function connections(bench: Bench): Promise<Result> {
  const { servers, isShort, say } = bench
  const counts = isShort ? SHORT_COUNTS : COUNTS
  const conversations = await makeConversations(servers, (counts.at(-1)! + WARM_UP) / PEOPLE_EACH, PEOPLE_EACH)
  const filled = byTarget<Filled>()
  for (let round = 1; round <= (isShort ? 1 : 3); round++) {
    say(`round ${round}: a fresh gateway and fresh baselines`)
    const all = await fill(bench, conversations, counts, round)
    for (const target of TARGETS) {
      filled[target].push(all[target])
      const { kilobytes, sockets, seconds, loadShare } = all[target]
      const memory = kilobytes.map(kb => kb.toFixed(1)).join(' and ')
      say(
        `round ${round}, ${target}: ${Math.round(sockets / seconds)} connects/s, ${memory} KiB a socket; load generator ${percent(loadShare)} of a core`
      )
    }
  }
  return toResult(filled, counts)
}

function toResult(filled: ByTarget<Filled>, counts: readonly number[]): Result {
  const row = (what: string, unit: string, read: (one: Filled) => number): Row =>
    without({
      what,
      unit,
      values: { parley: filled.parley.map(read), socketio: filled.socketio.map(read), broadcast: filled.broadcast.map(read) },
      loadShare: Math.max(...TARGETS.flatMap(target => filled[target].map(({ loadShare }) => loadShare)))
    })
  const memory = counts.map((count, index) =>
    row(`memory an idle socket, ${count.toLocaleString('en')} of them`, 'KiB', one => one.kilobytes[index]!)
  )
  const connects = row(`connects, ${CONNECTS_IN_FLIGHT} at once`, 'connects/s', one => one.sockets / one.seconds)
  return {
    rows: [
      ...memory,
      connects,
      row('CPU a connect, all processes', 'µs', one => Object.values(one.cpu).reduce((sum, us) => sum + us, 0) / one.sockets),
      ...Object.keys(filled.parley[0]!.cpu).map(name => row(`  of it ${name}`, 'µs', one => one.cpu[name]! / one.sockets))
    ],
    verdicts: [
      atMost('S4 memory an idle socket, gateway', memory.at(-1)!, 12),
      atLeastTimes('S4 connects a second', connects, 2, 'socketio')
    ]
  }
}

/** A server with idle sockets. */
interface Filled {
  sockets: number
  /** Memory a socket of the process that holds them, at each of the counts. */
  kilobytes: number[]
  /** How long the connects took, and the CPU of the servers meanwhile. */
  seconds: number
  cpu: Record<string, number>
  loadShare: number
}

/** Fills fresh servers with idle sockets and reads their memory after a pause at each of the counts. */
async function fill(
  { servers, pinning, isShort }: Bench,
  conversations: ConversationOf[],
  counts: readonly number[],
  round: number
): Promise<Record<Target, Filled>> {
  const life = new Lifetime()
  try {
    const doors = await servers.freshDoors(life)
    const generator = new Generator(life, pinning.loadPrefix)
    const pause = () => delay(isShort ? 2_000 : 8_000)
    const open = (target: Target, of: ConversationOf[]) =>
      generator.order({ do: 'open', target, urls: [doors[target].url], conversations: of, watched: doors[target].watched })
    const sizeOf = (target: Target) => residentKb(doors[target].watched.server.pid)
    let from = WARM_UP / PEOPLE_EACH
    for (const target of TARGETS) {
      await open(target, conversations.slice(0, from))
      await generator.order({ do: 'close', target })
    }
    await pause()

    const empty = { parley: sizeOf('parley'), socketio: sizeOf('socketio'), broadcast: sizeOf('broadcast') }
    const filled: Record<Target, Filled> = { parley: nothing(), socketio: nothing(), broadcast: nothing() }
    for (const count of counts) {
      const to = (WARM_UP + count) / PEOPLE_EACH
      for (const target of inTurn(round)) add(filled[target], await open(target, conversations.slice(from, to)))
      from = to
      await pause()
      for (const target of TARGETS) filled[target].kilobytes.push((sizeOf(target) - empty[target]) / count)
    }
    return filled
  } finally {
    await life.end()
  }
}

const nothing = (): Filled => ({ sockets: 0, kilobytes: [], seconds: 0, cpu: {}, loadShare: 0 })

function add(filled: Filled, { sockets, seconds, cpu, loadShare }: Opened): void {
  filled.sockets += sockets
  filled.seconds += seconds
  filled.loadShare = Math.max(filled.loadShare, loadShare)
  for (const [name, us] of Object.entries(cpu)) filled.cpu[name] = (filled.cpu[name] ?? 0) + us
}
