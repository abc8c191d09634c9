import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { failOnLeftovers } from '@parley/test-kit'
import t from 'tap'
import { CASES } from '../faults/cases/index.ts'
import { describe } from '../faults/checker/violation.ts'
import { NOT_TOGETHER, runTogether, SHORT_FORMS } from '../faults/together.ts'

failOnLeftovers(t)
// A minute on a machine of its own; seven were seen on one that did fifteen other things.
t.setTimeout(600_000)

/** Another one draws other faults: npm run faults -- --short --seed N. */
const SEED = 1

t.test('every case is part of npm test in its short form, or it is said why not', async t => {
  const tried = [...Object.values(SHORT_FORMS).flat(2), ...Object.keys(NOT_TOGETHER)]
  t.same(tried.toSorted(), CASES.map(({ id }) => id).toSorted())
})

t.test(
  'whatever is killed or held under load, nothing is lost, doubled or out of order, and everyone comes back',
  { timeout: 600_000 },
  async t => {
    const folder = await mkdtemp(join(tmpdir(), 'parley-faults-'))
    const result = await runTogether(SHORT_FORMS.crashes, {
      seed: SEED,
      folder,
      say: text => t.comment(text),
      onLife: life => t.teardown(() => life.end())
    })

    t.same(result.failures, [])
    // The folder of a whole test run goes with it; this keeps the history.
    const again = `npm run faults -- ${SHORT_FORMS.crashes.join(' ')} --short --seed ${SEED}`
    t.equal(describe(result.violations), '', `the history is in ${folder}; again: ${again}`)
    t.ok(result.kills >= 20, `${result.kills} kills`)
    t.ok(result.acknowledged >= 500, `${result.acknowledged} operations were acknowledged`)
    t.ok(result.faults >= 17, `${result.faults} faults, after each of which everyone came back`)
    if (t.passing()) await rm(folder, { recursive: true, force: true })
  }
)
