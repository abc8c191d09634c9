import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Person } from '@parley/test-kit'
import { Lifetime } from '@parley/test-kit'
import { check } from './checker/check.ts'
import { checkResources } from './checker/resources.ts'
import { describe, type Violation } from './checker/violation.ts'
import type { Reader } from './client/reader.ts'
import { readFinal } from './final-state.ts'
import { History } from './history.ts'
import { Load, SHORT_LOAD, USUAL_LOAD } from './load.ts'
import { type FaultPlatform, startFaultPlatform } from './platform.ts'
import { Random } from './random.ts'
import { settledSamples, takeSamples } from './samples.ts'
import { type FaultCase, type Recovery, Trial } from './trial.ts'
import { makeWorld, type World } from './world.ts'

export interface CaseResult {
  id: string
  title: string
  pass: string
  kills: number
  faults: number
  acknowledged: number
  violations: Violation[]
  failures: string[]
  recoveries: Recovery[]
  measured: Map<string, string>
  /** Of acknowledged sends, over the whole case. */
  latencies: number[]
  seconds: number
}

export interface RunOptions {
  seed: number
  isShort: boolean
  /** Where the history is kept. */
  folder: string
  say: (text: string) => void
  /** Called with what ends the case, as soon as there is something to end. */
  onLife?: (life: Lifetime) => void
  /** Called when its faults begin. */
  onTrial?: (trial: Trial) => void
}

export const CONVERGE_MS = 10_000
const SETTLE_MS = 15_000
/** Above what any case takes on a busy machine: one that hangs must not keep the others from being run. */
const CASE_MS = 600_000
const FINISH_MS = 120_000

/** Runs one case on a platform of its own and checks it; what it leaves in `folder` is for whoever looks for a cause. */
export async function runCase(one: FaultCase, { seed, isShort, folder, say, onLife, onTrial }: RunOptions): Promise<CaseResult> {
  const startedAt = performance.now()
  await mkdir(folder, { recursive: true })
  const life = new Lifetime()
  onLife?.(life)
  const random = new Random(seed).fork(one.id)
  const history = new History(join(folder, 'history.jsonl'))
  const failures: string[] = []
  let violations: Violation[] = []
  let trial: Trial | undefined
  let platform: FaultPlatform | undefined
  try {
    platform = await startFaultPlatform(life, one.platform)
    const world = await makeWorld(platform, random.fork('world'))
    await writeFile(join(folder, 'cast.json'), JSON.stringify(world.cast))
    await one.prepare?.(platform)
    const before = await takeSamples(platform)
    const load = new Load(platform, world, history, random, { ...(isShort ? SHORT_LOAD : USUAL_LOAD), ...one.load })
    life.teardown(() => load.stop())
    await load.start()
    trial = new Trial({ platform, load, world, history, random: random.fork('faults'), isShort, scope: life, say })
    onTrial?.(trial)
    await load.more(200)
    try {
      await within(CASE_MS, one.run(trial), 'the case')
    } catch (error) {
      failures.push((error as Error).message)
    }
    await within(FINISH_MS, load.finish(), 'the end of the load')
    await atRest(platform, load, world, one.convergeMs ?? CONVERGE_MS)
    for (const reader of [...load.readers, ...load.guests]) reader.show()
    const final = await within(FINISH_MS, readFinal(platform, [...world.senders, ...world.readers]), 'reading what the database holds')
    await within(FINISH_MS, load.stop(), 'the stop of the load')
    await writeFile(join(folder, 'final.json'), JSON.stringify(final))
    const after = await within(FINISH_MS, settledSamples(platform, before, SETTLE_MS), 'looking at what is held')
    violations = [...check(history.lines, final, world.cast, one.bounds), ...checkResources(before, after)]
  } catch (error) {
    failures.push((error as Error).stack ?? String(error))
  }
  failures.push(...(trial?.failures ?? []))
  if (trial && one.backWithinMs !== undefined) {
    const inTime = trial.recoveries.filter(({ allBackMs }) => allBackMs <= one.backWithinMs!).length
    trial.measured.set(`everyone back within ${one.backWithinMs / 1_000} s`, `${inTime} of ${trial.recoveries.length} times`)
  }
  if (failures.length + violations.length > 0) await keepLogs(folder, platform, [...failures, describe(violations)])
  await within(FINISH_MS, life.end(), 'the end of the platform').catch((error: Error) => failures.push(error.message))
  await history.close()
  return {
    id: one.id,
    title: one.title,
    pass: one.pass,
    kills: trial?.kills ?? 0,
    faults: trial?.recoveries.length ?? 0,
    acknowledged: trial?.load.acknowledged ?? 0,
    violations,
    failures,
    recoveries: trial?.recoveries ?? [],
    measured: trial?.measured ?? new Map(),
    latencies: trial?.load.senders.flatMap(({ latencies }) => latencies) ?? [],
    seconds: (performance.now() - startedAt) / 1_000
  }
}

/** @throws Error when the work is not done in time; it is left to itself then, its processes end with the case */
export async function within<T>(ms: number, work: Promise<T>, what: string): Promise<T> {
  work.catch(() => {})
  const over = new AbortController()
  const late = delay(ms, undefined, { signal: over.signal }).then(() => {
    throw new Error(`${what} did not come to its end within ${ms / 1_000} s`)
  })
  late.catch(() => {})
  return Promise.race([work, late]).finally(() => over.abort())
}

/** Waits until every reader is where the server is; whoever is not when the time is over is found by the checker. */
async function atRest({ database }: FaultPlatform, load: Load, world: World, forMs: number): Promise<void> {
  const deadline = performance.now() + forMs
  const rows = await database.query<{ id: string; version: number; members: string[] }>(
    `select id, version::int as version,
       array(select user_id::text from messaging.participants p where p.conversation_id = c.id and p.is_active) as members
     from messaging.conversations c`
  )
  const isThere = (reader: Reader, { id: user_id }: Person) => {
    const mine = rows.filter(({ members }) => members.includes(user_id))
    const { conversations, isInStep } = reader
    return isInStep && conversations.size === mine.length && mine.every(({ id, version }) => conversations.get(id)?.held === version)
  }
  const areAllThere = () =>
    load.readers.every((reader, n) => isThere(reader, world.readers[n]!)) &&
    load.guests.every((guest, n) => isThere(guest, world.guests[n]!))
  while (!areAllThere() && performance.now() < deadline) await delay(20)
}

async function keepLogs(folder: string, platform: FaultPlatform | undefined, sentences: string[]): Promise<void> {
  await writeFile(join(folder, 'violations.txt'), `${sentences.join('\n')}\n`)
  for (const process of [...(platform?.gateways ?? []), ...(platform?.stores ?? [])]) {
    await writeFile(join(folder, `${process.name}.log`), await process.log().catch(() => ''))
  }
}
