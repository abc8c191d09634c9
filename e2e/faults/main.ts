import { mkdtemp, rm, rmdir } from 'node:fs/promises'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Lifetime } from '@parley/test-kit'
import { CASES } from './cases/index.ts'
import { describe } from './checker/violation.ts'
import { readConditions } from './conditions.ts'
import { CONTROLS, runControl } from './controls/index.ts'
import { type ControlResult, casesTable, controlsTable, isCaught, isClean, quantile, writePage } from './report.ts'
import { type CaseResult, type RunOptions, runCase } from './run-case.ts'
import type { FaultCase, Trial } from './trial.ts'

const USAGE = `npm run faults [-- [case or control …] [--seed N] [--short] [--keep]]

  ${[...CASES, ...CONTROLS].map(({ id }) => id).join(' ')}

  Without names all of them run, for half an hour, and docs/reliability.md gets the result.

  --seed N   draw what is random from this seed (printed by every run)
  --short    a handful of faults a case; bounds of time are told and not held, the page is not written
  --keep     keep every history, also of cases that passed
  --help     this`

const TELL_EVERY_MS = 15_000

const startedAt = performance.now()
const say = (text: string): void => {
  process.stdout.write(`${`${Math.round((performance.now() - startedAt) / 1_000)} s`.padStart(7)}  ${text}\n`)
}

const lives = new Set<Lifetime>()
let isStopped = false
/** An interrupted run ends what it has started, and leaves no page, and no history but of what had failed before. */
async function stop(): Promise<void> {
  if (isStopped) return
  isStopped = true
  say('interrupted: everything is stopped, nothing is written into the page')
  for (const life of lives) await life.end()
  if (running && !options.isKept) await rm(running, { recursive: true, force: true }).catch(() => {})
  if (folder) await rmdir(folder).catch(() => {})
  process.exit(130)
}
/** Of this run, and in it that of the case that runs now. */
let folder: string | undefined
let running: string | undefined
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void stop())
process.once('disconnect', () => void stop())

const options = readOptions()
const code = await run(options).catch(error => {
  process.stderr.write(`${(error as Error).stack}\n`)
  return 1
})
// Where it was interrupted, that ends it.
if (!isStopped) process.exit(code)

interface Options {
  names: string[]
  seed: number
  isShort: boolean
  isKept: boolean
}

function readOptions(): Options {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        seed: { type: 'string' },
        short: { type: 'boolean', default: false },
        keep: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false }
      }
    })
    if (values.help) {
      process.stdout.write(`${USAGE}\n`)
      process.exit(0)
    }
    const unknown = positionals.find(name => ![...CASES, ...CONTROLS].some(({ id }) => id === name))
    if (unknown !== undefined) throw new Error(`there is no case ${unknown}`)
    const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed)
    if (!Number.isSafeInteger(seed)) throw new Error('--seed takes a whole number')
    return { names: positionals, seed, isShort: values.short, isKept: values.keep }
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n${USAGE}\n`)
    process.exit(2)
  }
}

async function run({ names, seed, isShort, isKept }: Options): Promise<number> {
  const isWanted = ({ id }: { id: string }) => names.length === 0 || names.includes(id)
  const wantedCases = CASES.filter(isWanted)
  const wantedControls = CONTROLS.filter(isWanted)
  const count = wantedCases.length + wantedControls.length
  folder = await mkdtemp(join(tmpdir(), 'parley-faults-'))
  const conditions = readConditions()
  for (const [name, value] of Object.entries(conditions)) say(`${name}: ${value}`)
  say(`seed: ${seed}`)
  const replay = (id: string) => `npm run faults -- ${id} --seed ${seed}${isShort ? ' --short' : ''}`
  const onLife = (life: Lifetime) => void lives.add(life)

  const cases: CaseResult[] = []
  for (const [n, one] of wantedCases.entries()) {
    running = join(folder, one.id)
    say(`${one.id} (${n + 1} of ${count}): ${one.title}`)
    const result = await runToldCase(one, { seed, isShort, folder: running, say: text => say(`${one.id}: ${text}`), onLife })
    if (isStopped) return 130
    cases.push(result)
    tell(result)
    if (!isClean(result)) say(`${one.id}: the history is kept in ${running}; again: ${replay(one.id)}`)
    else if (!isKept) await rm(running, { recursive: true, force: true })
  }
  const controls: ControlResult[] = []
  for (const [n, control] of wantedControls.entries()) {
    running = join(folder, control.id)
    say(`control ${control.id} (${wantedCases.length + n + 1} of ${count}): ${control.title}`)
    const result = await runControl(control, { seed, folder: running, onLife })
    if (isStopped) return 130
    controls.push(result)
    const found = [...result.found].map(([check, times]) => `${check} ${times}`).join(', ') || result.failure || 'nothing'
    say(`control ${control.id}: ${isCaught(result) ? 'caught' : 'NOT CAUGHT'} (${found}) in ${Math.round(result.seconds)} s`)
    if (isCaught(result)) await rm(running, { recursive: true, force: true })
    else say(`control ${control.id}: the history is kept in ${running}; again: ${replay(control.id)}`)
  }
  running = undefined
  // What failed is in there, and stays; without it the folder is empty.
  if (!isKept) await rmdir(folder).catch(() => {})

  const text = toText(
    {
      ...conditions,
      seed: `${seed}`,
      'load average after': loadavg()
        .map(load => load.toFixed(1))
        .join(' ')
    },
    cases,
    controls
  )
  process.stdout.write(`\n${text}\n\n`)
  if (names.length === 0 && !isShort) {
    await writePage(text)
    say('written into docs/reliability.md')
  }
  const isGood = cases.every(isClean) && controls.every(isCaught)
  const good = [
    ...(cases.length > 0 ? ['nothing lost, nothing doubled, nothing out of order'] : []),
    ...(controls.length > 0 ? ['every control was caught'] : [])
  ]
  say(isGood ? good.join('; ') : 'FAILED: see above')
  return isGood ? 0 : 1
}

/** Says every so often how far a case has come. */
async function runToldCase(one: FaultCase, options: RunOptions): Promise<CaseResult> {
  let telling: NodeJS.Timeout | undefined
  const onTrial = (trial: Trial) => {
    telling = setInterval(() => {
      options.say(`${trial.recoveries.length} faults, ${trial.kills} kills, ${trial.load.acknowledged} operations acknowledged so far`)
    }, TELL_EVERY_MS)
  }
  return runCase(one, { ...options, onTrial }).finally(() => clearInterval(telling))
}

function tell(result: CaseResult): void {
  const all = result.recoveries.map(({ allBackMs }) => allBackMs)
  const times = all.length === 0 ? '' : `, everyone back p50 ${Math.round(quantile(all, 0.5))} ms, max ${Math.round(Math.max(...all))} ms`
  say(
    `${result.id}: ${result.faults} faults, ${result.kills} kills, ${result.acknowledged} operations acknowledged in ${Math.round(result.seconds)} s${times}`
  )
  for (const [name, value] of result.measured) say(`${result.id}: ${name}: ${value}`)
  for (const failure of result.failures) say(`${result.id}: FAILED: ${failure}`)
  if (result.violations.length > 0) process.stdout.write(`${describe(result.violations)}\n`)
}

function toText(conditions: Record<string, string>, cases: readonly CaseResult[], controls: readonly ControlResult[]): string {
  const parts = [
    Object.entries({ ...conditions, took: `${Math.round((performance.now() - startedAt) / 60_000)} minutes` })
      .map(([name, value]) => `- ${name}: ${value}`)
      .join('\n')
  ]
  if (cases.length > 0) parts.push(casesTable(cases))
  if (controls.length > 0) parts.push(controlsTable(controls))
  return parts.join('\n\n')
}
