import { type Bench, byTarget, cpuRowsOf, inTurn, type Result, rowOf, sharesOf, withLoad } from '../bench.ts'
import type { Generator } from '../load/generator.ts'
import type { Ran, Target } from '../load/protocol.ts'
import { makeConversations } from '../people.ts'
import { atMost, atMostTimes } from '../verdicts.ts'

const CONVERSATIONS = 100
const PEOPLE_EACH = 10
const RATE = 200
const SECONDS = 30
const SHORT_SECONDS = 10

/** What anyone may wait for what another one wrote. */
const DELIVERED_MS = 100

/** Other work on the machine can spoil a round: it is tried again before the run is given up. */
const TRIES = 3

/** S1: how long a message takes from its sender to everyone else when there is little to do. */
export async function latency(bench: Bench): Promise<Result> {
  const { servers, isShort, say } = bench
  const conversations = await makeConversations(servers, CONVERSATIONS, PEOPLE_EACH)
  const rounds = byTarget<Ran>()
  await withLoad(bench, conversations, async generator => {
    for (let round = 0; round <= (isShort ? 2 : 3); round++) {
      const seconds = round === 0 ? (isShort ? 1 : 3) : isShort ? SHORT_SECONDS : SECONDS
      for (const target of inTurn(round)) {
        const ran = await keepUp(bench, generator, target, seconds)
        if (round > 0) rounds[target].push(ran)
        const { p50, p99 } = ran.delivery
        say(`${round === 0 ? 'warm-up' : `round ${round}`}, ${target}: p50 ${p50.toFixed(2)}, p99 ${p99.toFixed(2)} ms; ${sharesOf(ran)}`)
      }
    }
  })
  const p50 = rowOf(`delivered after, at ${RATE} messages/s, p50`, 'ms', rounds, ran => ran.delivery.p50)
  const p99 = rowOf(`delivered after, at ${RATE} messages/s, p99`, 'ms', rounds, ran => ran.delivery.p99)
  return {
    rows: [p50, p99, ...cpuRowsOf(`at ${RATE} messages/s`, rounds)],
    verdicts: [
      atMostTimes('S1 delivered after, p50', p50, 1.5, 'socketio'),
      atMostTimes('S1 delivered after, p99', p99, 1, 'socketio'),
      atMost('S1 delivered after, p99', p99, DELIVERED_MS)
    ]
  }
}

async function keepUp({ servers, say }: Bench, generator: Generator, target: Target, seconds: number): Promise<Ran> {
  for (let tries = 1; ; tries++) {
    await servers.settle()
    const ran = await generator.order({ do: 'paced', target, rate: RATE, seconds, watched: servers.doors[target].watched })
    if (!ran.gaveUp) return ran
    if (tries === TRIES) throw new Error(`${target} does not keep up with ${RATE} messages/s on this machine, as it is now`)
    say(`${target} did not keep up, once more; ${sharesOf(ran)}`)
  }
}
