import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { failOnLeftovers } from '@parley/test-kit'
import t from 'tap'
import { CASES } from '../faults/cases/index.ts'
import { describe } from '../faults/checker/violation.ts'
import { runCase } from '../faults/run-case.ts'
import type { FaultCase } from '../faults/trial.ts'

failOnLeftovers(t)
// A minute on a machine of its own; seven were seen on one that did fifteen other things.
t.setTimeout(600_000)

/** Another one draws other faults: npm run faults -- --short --seed N. */
const SEED = 1
/** They need nothing of the platform but that it is whole, and so share one: starting it takes longer than they do. */
const TOGETHER = ['T-CR-1', 'T-CR-2', 'T-CR-3', 'T-CR-4', 'T-CR-6', 'T-PA-1', 'T-CR-10']

t.test(
  'whatever is killed or held under load, nothing is lost, doubled or out of order, and everyone comes back',
  { timeout: 600_000 },
  async t => {
    const cases = TOGETHER.map(id => CASES.find(one => one.id === id)!)
    const folder = await mkdtemp(join(tmpdir(), 'parley-faults-'))
    const together: FaultCase = {
      id: 'short',
      title: TOGETHER.join(', '),
      pass: '',
      async run(trial) {
        for (const one of cases) {
          const before = trial.kills
          await one.run(trial)
          trial.say(`${one.id}: ${trial.kills - before} kills, ${trial.load.acknowledged} operations acknowledged so far`)
        }
      }
    }
    const result = await runCase(together, {
      seed: SEED,
      isShort: true,
      folder,
      say: text => t.comment(text),
      onLife: life => t.teardown(() => life.end())
    })

    t.same(result.failures, [])
    // The folder of a whole test run goes with it; this keeps the history.
    const again = `npm run faults -- ${TOGETHER.join(' ')} --short --seed ${SEED}`
    t.equal(describe(result.violations), '', `the history is in ${folder}; again: ${again}`)
    t.ok(result.kills >= 20, `${result.kills} kills`)
    t.ok(result.acknowledged >= 500, `${result.acknowledged} operations were acknowledged`)
    t.ok(result.faults >= 17, `${result.faults} faults, after each of which everyone came back`)
    if (t.passing()) await rm(folder, { recursive: true, force: true })
  }
)
