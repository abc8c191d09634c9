import { type Bench, byTarget, inTurn, type Result, rowOf, sharesOf, withLoad } from '../bench.ts'
import type { Generator } from '../load/generator.ts'
import { type Ran, TARGETS, type Target } from '../load/protocol.ts'
import { makeConversations } from '../people.ts'
import { atLeastOrTimes } from '../verdicts.ts'

const PEOPLE = 1_000
const P99_MAX_MS = 100
/** A step that was sent this late says something of the load generator, not of the server. */
const LATE_MAX_MS = 50
const STEPS = [25, 50, 75, 100, 150, 200, 250, 300, 350, 400, 450, 500, 600, 700, 800, 900, 1_000, 1_200]
const SHORT_STEPS = [25, 50, 100, 200, 300, 400, 500, 600, 800]

/** S3: how many deliveries a second one conversation of 1,000 takes with a p99 of 100 ms at most. */
export async function fanOut(bench: Bench): Promise<Result> {
  const { isShort, servers } = bench
  const conversations = await makeConversations(servers, 1, PEOPLE)
  const best = byTarget<Ran>()
  await withLoad(bench, conversations, async generator => {
    for (let round = 1; round <= (isShort ? 1 : 3); round++) {
      const highest = await climb(bench, generator, round)
      for (const target of TARGETS) best[target].push(highest[target])
    }
  })
  const deliveries = rowOf('deliveries, 1,000 in a conversation', 'deliveries/s', best, ran => ran.deliveries / ran.seconds)
  return {
    rows: [
      deliveries,
      rowOf('  p50 there', 'ms', best, ran => ran.delivery.p50),
      rowOf('  p99 there', 'ms', best, ran => ran.delivery.p99)
    ],
    verdicts: [atLeastOrTimes('S3 deliveries a second, p99 at most 100 ms', deliveries, 400_000, 1.3, 'broadcast')]
  }
}

/** Raises the rate step by step, all targets in turn, until each has failed one and the same step twice. */
async function climb({ servers, isShort, say }: Bench, generator: Generator, round: number): Promise<Record<Target, Ran>> {
  const highest: Partial<Record<Target, Ran>> = {}
  const first: Partial<Record<Target, Ran>> = {}
  const climbing = new Set<Target>(inTurn(round))
  const step = async (target: Target, rate: number): Promise<boolean> => {
    await servers.settle()
    const { watched } = servers.doors[target]
    const ran = await generator.order({ do: 'paced', target, rate, seconds: isShort ? 1.2 : 2.5, watched })
    const holds = !ran.gaveUp && ran.delivery.p99 <= P99_MAX_MS && ran.late.p99 <= LATE_MAX_MS
    first[target] ??= ran
    if (holds) highest[target] = ran
    const late = ran.late.p99 > LATE_MAX_MS ? `, sent ${Math.round(ran.late.p99)} ms late` : ''
    const verdict = ran.gaveUp ? 'did not keep up' : `p50 ${ran.delivery.p50.toFixed(1)}, p99 ${ran.delivery.p99.toFixed(1)} ms${late}`
    say(`round ${round}, ${target}: ${rate} messages/s to ${PEOPLE}: ${verdict}; ${sharesOf(ran)}`)
    return holds
  }
  for (const rate of isShort ? SHORT_STEPS : STEPS) {
    for (const target of climbing) {
      // Other work on the machine can spoil one step; it is tried once more before it counts.
      if (!(await step(target, rate)) && !(await step(target, rate))) climbing.delete(target)
    }
    if (climbing.size === 0) break
  }
  // Who holds no step at all delivers nothing in time.
  const resultOf = (target: Target): Ran => highest[target] ?? { ...first[target]!, deliveries: 0 }
  return { parley: resultOf('parley'), socketio: resultOf('socketio'), broadcast: resultOf('broadcast') }
}
