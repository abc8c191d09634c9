import { CASES } from './cases/index.ts'
import type { LinkPlace } from './platform.ts'
import { type CaseResult, CONVERGE_MS, type RunOptions, runCase, within } from './run-case.ts'
import type { FaultCase, Trial } from './trial.ts'

/** A short one is done within a minute, also where others work; one that hangs is named. */
const SHORT_MS = 240_000

/** What `npm test` runs on one platform each; those of a list of their own run beside each other. */
export const SHORT_FORMS = {
  crashes: ['T-CR-1', 'T-CR-2', 'T-CR-3', 'T-CR-4', 'T-CR-6', 'T-PA-1', 'T-CR-10'],
  network: ['T-NW-5', 'T-NW-7', 'T-NW-1', 'T-NW-4', 'T-TN-2', 'T-NW-2', 'T-NW-3'],
  // T-LD-2 ends the load, and so comes last.
  load: ['T-LD-1', 'T-LD-6', 'T-LD-7', 'T-DP-1', 'T-PM-1', 'T-PM-2', 'T-LD-5', 'T-LD-3', 'T-LD-2']
} as const satisfies Record<string, readonly (string | readonly string[])[]>

/** Those that are in none of the lists, and why. */
export const NOT_TOGETHER: Readonly<Record<string, string>> = {
  'T-CR-5': 'e2e/test/lost-stream.test.ts',
  'T-TN-1': 'e2e/test/tenancy.test.ts',
  'T-DP-2': 'e2e/test/stop.test.ts',
  'T-NW-6': 'services/gateway/test/slow-reader.test.ts, and half a minute on a slow line',
  'T-NW-8': 'waits half a minute for time-outs',
  // Beside other tests a flood may be too slow to be one.
  'T-LD-4': 'services/gateway/test/hostile-frames.test.ts',
  'T-DI-1': 'wants root',
  'T-DI-2': 'wants root',
  'T-DUR-3': 'wants strace'
}

/**
 * Runs the short forms of cases on one platform and under one load, since starting those takes longer than most of them
 * do, and checks everything once.
 */
export function runTogether(
  ids: readonly (string | readonly string[])[],
  { load, ...options }: Omit<RunOptions, 'isShort'> & Pick<FaultCase, 'load'>
): Promise<CaseResult> {
  const steps = ids.map(id => (typeof id === 'string' ? [id] : id).map(findCase))
  const cases = steps.flat()
  const platforms = cases.map(({ platform = {} }) => platform)
  return runCase(
    {
      id: 'together',
      title: cases.map(({ id }) => id).join(', '),
      pass: cases.map(({ pass }) => pass).join('; '),
      ...(load && { load }),
      platform: {
        gateways: Math.max(...platforms.map(({ gateways = 2 }) => gateways)),
        links: [...new Set(platforms.flatMap(({ links = [] }): readonly LinkPlace[] => links))],
        postgres: Object.assign({}, ...platforms.map(({ postgres }) => postgres))
      },
      convergeMs: Math.max(...cases.map(({ convergeMs = CONVERGE_MS }) => convergeMs)),
      async run(trial) {
        for (const step of steps) await Promise.all(step.map(one => runOne(trial, one)))
      }
    },
    { ...options, isShort: true }
  )
}

function findCase(id: string): FaultCase {
  const found = CASES.find(one => one.id === id)
  if (!found) throw new Error(`there is no case ${id}`)
  if (found.prepare || found.load || found.bounds) throw new Error(`${id} needs a platform of its own`)
  return found
}

/** @throws Error that names the case, when it throws or does not come to its end */
async function runOne(trial: Trial, one: FaultCase): Promise<void> {
  const begun = performance.now()
  const kills = trial.kills
  try {
    await within(SHORT_MS, one.run(trial), one.id)
  } catch (error) {
    throw new Error(`${one.id}: ${(error as Error).message}`, { cause: error })
  } finally {
    const seconds = ((performance.now() - begun) / 1_000).toFixed(1)
    const measured = [...trial.measured].map(([name, value]) => `; ${name}: ${value}`).join('')
    trial.measured.clear()
    trial.say(`${one.id}: ${seconds} s, ${trial.kills - kills} kills, ${trial.load.acknowledged} operations so far${measured}`)
  }
}
