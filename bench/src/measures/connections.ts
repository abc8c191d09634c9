import { setTimeout as delay } from 'node:timers/promises'
import { type Bench, percent, type Row } from '../bench.ts'
import { residentKb } from '../cpu.ts'
import { Lifetime } from '../lifetime.ts'
import { Generator } from '../load/generator.ts'
import { CONNECTS_IN_FLIGHT, type ConversationOf, type Opened, TARGETS, type Target } from '../load/protocol.ts'
import { makeConversations } from '../people.ts'
import { startBaseline } from '../servers.ts'

const PEOPLE_EACH = 10
const COUNTS = [2_000, 5_000]
const SHORT_COUNTS = [1_000]
const WARM_UP = 200

/** What a socket costs that says nothing, and how fast they come in; at servers that have done nothing else. */
export async function connections(bench: Bench): Promise<Row[]> {
  const { servers, isShort, say } = bench
  const counts = isShort ? SHORT_COUNTS : COUNTS
  const conversations = await makeConversations(servers, (counts.at(-1)! + WARM_UP) / PEOPLE_EACH, PEOPLE_EACH)
  const filled: Record<Target, Filled[]> = { parley: [], baseline: [] }
  for (let round = 1; round <= (isShort ? 1 : 3); round++) {
    say(`round ${round}: a fresh gateway and a fresh baseline`)
    const both = await fill(bench, conversations, counts)
    for (const target of TARGETS) {
      filled[target].push(both[target])
      const { kilobytes, sockets, seconds, loadShare } = both[target]
      const memory = kilobytes.map(kb => kb.toFixed(1)).join(' and ')
      say(
        `round ${round}, ${target}: ${Math.round(sockets / seconds)} connects/s, ${memory} KiB a socket; load generator ${percent(loadShare)} of a core`
      )
    }
  }

  const row = (what: string, unit: string, read: (one: Filled) => number): Row => ({
    what,
    unit,
    parley: filled.parley.map(read),
    baseline: filled.baseline.map(read),
    loadShare: Math.max(...[...filled.parley, ...filled.baseline].map(({ loadShare }) => loadShare))
  })
  const cpu = (name: string): Row => ({ ...row(`  of it ${name}`, 'µs', one => one.cpu[name]! / one.sockets), baseline: [] })
  return [
    ...counts.map((count, index) =>
      row(`memory an idle socket, ${count.toLocaleString('en')} of them`, 'KiB', one => one.kilobytes[index]!)
    ),
    row(`connects, ${CONNECTS_IN_FLIGHT} at once`, 'connects/s', one => one.sockets / one.seconds),
    row('CPU a connect, all servers', 'µs', one => Object.values(one.cpu).reduce((sum, us) => sum + us, 0) / one.sockets),
    ...Object.keys(servers.watched).map(cpu)
  ]
}

/** A server with idle sockets. */
interface Filled {
  sockets: number
  /** Memory a socket, at each of the counts. */
  kilobytes: number[]
  /** How long the connects took, and the CPU of the servers meanwhile. */
  seconds: number
  cpu: Record<string, number>
  loadShare: number
}

/** Fills a gateway and a baseline with idle sockets and reads their memory after a pause at each of the counts. */
async function fill(
  { servers, pinning, isShort }: Bench,
  conversations: ConversationOf[],
  counts: readonly number[]
): Promise<Record<Target, Filled>> {
  const life = new Lifetime()
  try {
    const doors = { parley: await servers.freshGateway(life), baseline: await startBaseline(life) }
    const watched = {
      parley: { ...servers.watched, gateway: { pid: doors.parley.pid } },
      baseline: { baseline: { pid: doors.baseline.pid } }
    }
    const generator = new Generator(life, pinning.loadPrefix)
    const pause = () => delay(isShort ? 2_000 : 8_000)
    const open = (target: Target, of: ConversationOf[]) =>
      generator.order({ do: 'open', target, url: doors[target].url, conversations: of, watched: watched[target] })
    let from = WARM_UP / PEOPLE_EACH
    for (const target of TARGETS) {
      await open(target, conversations.slice(0, from))
      await generator.order({ do: 'close', target })
    }
    await pause()

    const empty = { parley: residentKb(doors.parley.pid), baseline: residentKb(doors.baseline.pid) }
    const filled: Record<Target, Filled> = { parley: nothing(), baseline: nothing() }
    for (const count of counts) {
      const to = (WARM_UP + count) / PEOPLE_EACH
      for (const target of TARGETS) add(filled[target], await open(target, conversations.slice(from, to)))
      from = to
      await pause()
      for (const target of TARGETS) filled[target].kilobytes.push((residentKb(doors[target].pid) - empty[target]) / count)
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
