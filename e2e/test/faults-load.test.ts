import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { failOnLeftovers } from '@parley/test-kit'
import t from 'tap'
import { describe } from '../faults/checker/violation.ts'
import { runTogether, SHORT_FORMS } from '../faults/together.ts'

failOnLeftovers(t)
// A minute and a half on a machine of its own.
t.setTimeout(600_000)

/** Another one draws other faults: npm run faults -- --short --seed N. */
const SEED = 1

t.test(
  'under storms, floods, restarts and poison nothing is lost, doubled or out of order, and everyone comes back',
  { timeout: 600_000 },
  async t => {
    const folder = await mkdtemp(join(tmpdir(), 'parley-faults-'))
    const result = await runTogether(SHORT_FORMS.load, {
      seed: SEED,
      folder,
      // The crowds are load enough.
      load: { rate: 60 },
      say: text => t.comment(text),
      onLife: life => t.teardown(() => life.end())
    })

    t.same(result.failures, [])
    // The folder of a whole test run goes with it; this keeps the history.
    const again = `npm run faults -- ${SHORT_FORMS.load.join(' ')} --short --seed ${SEED}`
    t.equal(describe(result.violations), '', `the history is in ${folder}; again: ${again}`)
    t.ok(result.acknowledged >= 500, `${result.acknowledged} operations were acknowledged`)
    t.ok(result.faults >= 5, `${result.faults} faults, after each of which everyone came back`)
    if (t.passing()) await rm(folder, { recursive: true, force: true })
  }
)
