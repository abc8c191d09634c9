import { type Bench, cpuRowsOf, type Rounds, type Row, rowOf, sharesOf, watchedOf, withLoad } from '../bench.ts'
import { TARGETS } from '../load/protocol.ts'
import { makeConversations } from '../people.ts'

const CONVERSATIONS = 100
const PEOPLE_EACH = 10
const RATE = 200
const SECONDS = 10

/** How long a message takes from its sender to everyone else when there is little to do. */
export async function latency(bench: Bench): Promise<Row[]> {
  const { servers, isShort, say } = bench
  const conversations = await makeConversations(servers, CONVERSATIONS, PEOPLE_EACH)
  const rounds: Rounds = { parley: [], baseline: [] }
  await withLoad(bench, conversations, async generator => {
    for (let round = 0; round <= (isShort ? 1 : 3); round++) {
      const seconds = round > 0 ? SECONDS : isShort ? 1 : 3
      for (const target of TARGETS) {
        const ran = await generator.order({ do: 'paced', target, rate: RATE, seconds, watched: watchedOf(servers, target) })
        if (ran.gaveUp) throw new Error(`${target} does not even keep up with ${RATE} messages/s`)
        if (round > 0) rounds[target].push(ran)
        const { p50, p99 } = ran.delivery
        say(`${round === 0 ? 'warm-up' : `round ${round}`}, ${target}: p50 ${p50.toFixed(2)}, p99 ${p99.toFixed(2)} ms; ${sharesOf(ran)}`)
      }
    }
  })
  return [
    rowOf(`delivered after, at ${RATE} messages/s, p50`, 'ms', rounds, ran => ran.delivery.p50),
    rowOf(`delivered after, at ${RATE} messages/s, p99`, 'ms', rounds, ran => ran.delivery.p99),
    ...cpuRowsOf(`at ${RATE} messages/s`, rounds, Object.keys(servers.watched))
  ]
}
