import { setTimeout as delay } from 'node:timers/promises'
import type { Scope } from '@parley/test-kit'
import type { Bounds } from './checker/check.ts'
import type { History } from './history.ts'
import type { Load, LoadOptions } from './load.ts'
import type { FaultPlatform, PlatformOptions } from './platform.ts'
import type { Random } from './random.ts'
import type { World } from './world.ts'

/** One case of the fault matrix: a module of `cases/` exports one of these, and `cases/index.ts` lists it. */
export interface FaultCase {
  /** As in the matrix: T-CR-1. */
  id: string
  /** What is done to whom, for the table. */
  title: string
  /** What passes, beside that no check finds anything. */
  pass: string
  /** Everyone is to be back so soon after a fault; how often that was so stands in the table. */
  backWithinMs?: number
  platform?: PlatformOptions
  load?: Partial<LoadOptions>
  bounds?: Partial<Bounds>
  /** How long after the last fault every reader must show what the server has. */
  convergeMs?: number
  /** Called before the first client connects. */
  prepare?(platform: FaultPlatform): Promise<void> | void
  /** Does the faults, while the load runs. Throws, or says what failed by `trial.expect`. */
  run(trial: Trial): Promise<void>
}

export interface Strike {
  /** How many processes it kills. */
  kills?: number
  /** Recovery counts from when the fault is in force, unless its length is chosen: then from its end. */
  countFrom?: 'down' | 'up'
  /** Does the fault; resolves once it is in force. */
  down(): Promise<unknown>
  /** Ends the fault: starts again what was killed. Everyone may be back before. */
  up?(): Promise<unknown>
  /** Everyone is back by then, or the case has failed. */
  withinMs?: number
}

/** How long it took after one fault. */
export interface Recovery {
  what: string
  /** Until a send was acknowledged that was begun after the fault. */
  firstAckMs: number
  /** Until every sender had such an acknowledgement, and every reader was in step and had seen such a message. */
  allBackMs: number
  /** Who was the last. */
  last: string
}

/** Not a target: whoever is not back by then does not come back. */
const WITHIN_MS = 60_000
const EVERY_MS = 5

/** What a case works with: a platform of its own under load, and a way to do faults to it that are measured. */
export class Trial {
  readonly platform: FaultPlatform
  readonly load: Load
  readonly world: World
  readonly history: History
  /** All that is random in a case comes from here. */
  readonly random: Random
  /** The short form: a handful of faults. */
  readonly isShort: boolean
  /** Ends with the case. */
  readonly scope: Scope
  readonly say: (text: string) => void
  readonly recoveries: Recovery[] = []
  /** Sentences of what the case found wrong itself. */
  readonly failures: string[] = []
  /** What was measured beside recoveries, for the table's notes: name and value with unit. */
  readonly measured = new Map<string, string>()
  kills = 0

  constructor(parts: Pick<Trial, 'platform' | 'load' | 'world' | 'history' | 'random' | 'isShort' | 'scope' | 'say'>) {
    this.platform = parts.platform
    this.load = parts.load
    this.world = parts.world
    this.history = parts.history
    this.random = parts.random
    this.isShort = parts.isShort
    this.scope = parts.scope
    this.say = parts.say
  }

  /** So many in the full form, so many in the short one. */
  times(full: number, short: number): number {
    return this.isShort ? short : full
  }

  expect(isTrue: boolean, sentence: string): void {
    if (!isTrue) this.failures.push(sentence)
  }

  /**
   * A bound of time, held in the full form alone: the short one runs with `npm test` beside other tests, where a time says
   * something about the machine. There it is told.
   */
  expectInTime(isTrue: boolean, sentence: string): void {
    if (this.isShort && !isTrue) this.say(`not in time, which the short form does not hold: ${sentence}`)
    else this.expect(isTrue, sentence)
  }

  /** Lets the load run for a moment of random length. */
  pause(fromMs = 100, toMs = 700): Promise<void> {
    return delay(this.random.between(fromMs, toMs))
  }

  /**
   * Does one fault, waits until everyone is back, and keeps how long that took.
   *
   * @throws Error naming who is not back in time
   */
  async strike(what: string, { kills = 0, countFrom = 'down', down, up, withinMs = WITHIN_MS }: Strike): Promise<Recovery> {
    const { n: of } = this.history.add({ proc: 'harness', type: 'invoke', op: 'fault', value: what })
    await down()
    this.kills += kills
    let since = this.history.now()
    let isUp = false
    const ended = Promise.resolve(up?.()).then(() => {
      this.history.add({ proc: 'harness', type: 'ok', op: 'fault', of, value: what })
      isUp = true
    })
    ended.catch(() => {})
    if (countFrom === 'up') {
      await ended
      since = this.history.now()
    }
    let firstAckMs: number | undefined
    let last = ''
    const deadline = since + withinMs
    for (;;) {
      const now = this.history.now()
      if (firstAckMs === undefined && this.load.isAcknowledgedSince(since)) firstAckMs = now - since
      const away = firstAckMs === undefined ? ['nobody has an acknowledgement'] : this.load.notBackSince(since)
      if (away.length === 0) {
        const recovery = { what, firstAckMs: firstAckMs!, allBackMs: now - since, last }
        this.recoveries.push(recovery)
        await ended
        return recovery
      }
      last = away.join(' ')
      if (now > deadline) throw new Error(`${what}: not back within ${withinMs} ms: ${away.join(', ')}`)
      if (isUp) await ended
      await delay(EVERY_MS)
    }
  }
}

/** Kills a process of ours, as the kernel does when memory is short. */
export async function killProcess(process: { kill(signal: NodeJS.Signals): void; exited: Promise<unknown> }): Promise<void> {
  process.kill('SIGKILL')
  await process.exited
}
