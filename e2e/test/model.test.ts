import { failOnLeftovers } from '@parley/test-kit'
import fc from 'fast-check'
import t from 'tap'
import { script } from '../model/commands.ts'
import { run } from '../model/run.ts'
import { Stage } from '../model/stage.ts'

failOnLeftovers(t)
// A minute and a half on a machine of its own; others may be at work.
t.setTimeout(600_000)

const RUNS = 200
/** Each lane is a property of its own, with the same seed and other numbers: they share the platform and each other's kills. */
const LANES = 10
const SEED = Number(process.env.MODEL_SEED ?? 20_261_121)

t.test('two hundred runs of forty commands leave the platform and a list in memory the same', { timeout: 600_000 }, async t => {
  const stage = await Stage.open(t)
  t.comment(`seed ${SEED}; another: MODEL_SEED=<n>`)
  const results = await Promise.all(
    Array.from({ length: LANES }, (_, lane) =>
      fc.check(
        fc.asyncProperty(script, commands => run(stage, commands)),
        { seed: SEED + lane, numRuns: RUNS / LANES, interruptAfterTimeLimit: 540_000, markInterruptAsFailure: true }
      )
    )
  )
  await stage.whole()
  for (const [lane, result] of results.entries()) {
    t.notOk(result.failed, `lane ${lane}: ${result.numRuns} runs`)
    if (result.failed) t.comment(`${result.errorInstance}\n${fc.defaultReportMessage(result)}`)
  }
  t.equal(
    results.reduce((sum, { numRuns }) => sum + numRuns, 0),
    RUNS
  )
  t.ok(stage.kills >= 10, `${stage.kills} processes were killed meanwhile`)
})
