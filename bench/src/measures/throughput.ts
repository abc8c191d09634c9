import { type Bench, cpuRowsOf, type Rounds, type Row, rowOf, sharesOf, watchedOf, withLoad } from '../bench.ts'
import { TARGETS } from '../load/protocol.ts'
import { makeConversations } from '../people.ts'

const CONVERSATIONS = 20
const PEOPLE_EACH = 10
const RAMP_SECONDS = 0.5

/** How many messages a second are accepted when 200 people each send the next once the last is acknowledged. */
export async function throughput(bench: Bench): Promise<Row[]> {
  const { servers, isShort, say } = bench
  const conversations = await makeConversations(servers, CONVERSATIONS, PEOPLE_EACH)
  const rounds: Rounds = { parley: [], baseline: [] }
  await withLoad(bench, conversations, async generator => {
    // The first round warms up both servers and the load generator, and is not counted.
    for (let round = 0; round <= (isShort ? 2 : 3); round++) {
      const seconds = round === 0 ? (isShort ? 1 : 3) : isShort ? 3 : 8
      for (const target of TARGETS) {
        const ran = await generator.order({ do: 'closed', target, rampSeconds: RAMP_SECONDS, seconds, watched: watchedOf(servers, target) })
        if (round > 0) rounds[target].push(ran)
        say(
          `${round === 0 ? 'warm-up' : `round ${round}`}, ${target}: ${Math.round(ran.accepted / ran.seconds)} accepted/s; ${sharesOf(ran)}`
        )
      }
    }
  })

  return [
    rowOf('accepted', 'messages/s', rounds, ran => ran.accepted / ran.seconds),
    rowOf('  acknowledged after, p50', 'ms', rounds, ran => ran.ack.p50),
    rowOf('  acknowledged after, p99', 'ms', rounds, ran => ran.ack.p99),
    ...cpuRowsOf('at full load', rounds, Object.keys(servers.watched)),
    rowOf('bytes a delivery', 'bytes', rounds, ran => ran.bytesPerDelivery)
  ]
}
