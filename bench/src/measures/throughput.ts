import { type Bench, byTarget, cpuRowsOf, inTurn, type Result, rowOf, sharesOf, withLoad } from '../bench.ts'
import type { Ran } from '../load/protocol.ts'
import { makeConversations } from '../people.ts'
import { atLeastTimes, atMost } from '../verdicts.ts'

export const CONVERSATIONS = 20
export const PEOPLE_EACH = 10
export const RAMP_SECONDS = 0.5

/** S2: how many messages a second are accepted when 200 people each send the next once the last is acknowledged. */
export async function throughput(bench: Bench): Promise<Result> {
  const { servers, isShort, say } = bench
  const conversations = await makeConversations(servers, CONVERSATIONS, PEOPLE_EACH)
  const rounds = byTarget<Ran>()
  await withLoad(bench, conversations, async generator => {
    // The first round warms up the servers and the load generator, and is not counted.
    for (let round = 0; round <= (isShort ? 2 : 3); round++) {
      const seconds = round === 0 ? (isShort ? 1 : 3) : isShort ? 3 : 8
      for (const target of inTurn(round)) {
        await servers.settle()
        const { watched } = servers.doors[target]
        const ran = await generator.order({ do: 'closed', target, rampSeconds: RAMP_SECONDS, seconds, watched })
        if (round > 0) rounds[target].push(ran)
        say(
          `${round === 0 ? 'warm-up' : `round ${round}`}, ${target}: ${Math.round(ran.accepted / ran.seconds)} accepted/s; ${sharesOf(ran)}`
        )
      }
    }
  })

  const accepted = rowOf('accepted', 'messages/s', rounds, ran => ran.accepted / ran.seconds)
  const [cpu, ...cpuOfEach] = cpuRowsOf('at full load', rounds)
  return {
    rows: [
      accepted,
      rowOf('  acknowledged after, p50', 'ms', rounds, ran => ran.ack.p50),
      rowOf('  acknowledged after, p99', 'ms', rounds, ran => ran.ack.p99),
      cpu!,
      ...cpuOfEach,
      rowOf('bytes a delivery', 'bytes', rounds, ran => ran.bytesPerDelivery)
    ],
    verdicts: [atLeastTimes('S2 accepted messages a second', accepted, 4, 'socketio'), atMost('S2 CPU a message, all processes', cpu!, 125)]
  }
}
