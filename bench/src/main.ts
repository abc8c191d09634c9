import { mkdir, writeFile } from 'node:fs/promises'
import { loadavg, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { Lifetime } from '@parley/test-kit'
import type { Bench, Measure, Result } from './bench.ts'
import { readConditions } from './conditions.ts'
import { connections } from './measures/connections.ts'
import { fanOut } from './measures/fan-out.ts'
import { growth } from './measures/growth.ts'
import { latency } from './measures/latency.ts'
import { search } from './measures/search.ts'
import { throughput } from './measures/throughput.ts'
import { twoByTwo } from './measures/two-by-two.ts'
import { pin } from './pinning.ts'
import { toGrowthTable, toJson, toTable, toVerdictTable } from './report.ts'
import { startServers } from './servers.ts'
import { verifyBaseline, verifyDatabase } from './verify.ts'

const MEASURES: Record<string, Measure> = { throughput, 'fan-out': fanOut, latency, connections, 'two-by-two': twoByTwo, growth, search }
const USAGE = `npm run bench [-- [${Object.keys(MEASURES).join('] [')}] [--short] [--json FILE] [--profile FOLDER]]`

const startedAt = Date.now()
const say = (text: string): void => {
  process.stdout.write(`${`${Math.round((Date.now() - startedAt) / 1_000)} s`.padStart(6)}  ${text}\n`)
}
const life = new Lifetime()
let isStopped = false
const stop = async () => {
  if (isStopped) return
  isStopped = true
  await life.end()
  process.exit(130)
}
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void stop())
process.once('disconnect', () => void stop())

try {
  await run(readOptions())
  await life.end()
  process.exit(0)
} catch (error) {
  // What fails because it was stopped is no failure; `stop` ends the process.
  if (!isStopped) {
    await life.end()
    process.stderr.write(`\nThe bench FAILED: ${error instanceof Error ? error.message : String(error)}\n`)
    process.exit(1)
  }
}

interface Options {
  names: string[]
  isShort: boolean
  jsonFile: string
  profileDir: string | undefined
}

function readOptions(): Options {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: { short: { type: 'boolean', default: false }, json: { type: 'string' }, profile: { type: 'string' } }
    })
    const unknown = positionals.find(name => !(name in MEASURES))
    if (unknown !== undefined) throw new Error(`there is no measure ${unknown}`)
    return {
      names: positionals.length > 0 ? positionals : Object.keys(MEASURES),
      isShort: values.short,
      jsonFile: resolve(values.json ?? join(tmpdir(), `parley-bench-${new Date().toISOString().replaceAll(/[:.]/g, '-')}.json`)),
      profileDir: values.profile === undefined ? undefined : resolve(values.profile)
    }
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${USAGE}`)
  }
}

async function run({ names, isShort, jsonFile, profileDir }: Options): Promise<void> {
  const pinning = pin()
  say('starting PostgreSQL, NATS, Redis, message-store, gateway and the baselines')
  if (profileDir !== undefined) await mkdir(profileDir, { recursive: true })
  const servers = await startServers(life, { profileDir })
  const conditions: Record<string, string> = {
    ...(await readConditions(servers, pinning)),
    run: `${names.join(', ')}; ${isShort ? 'short' : 'full'}${profileDir === undefined ? '' : '; PROFILED, so slower than usual'}`
  }
  for (const [name, value] of Object.entries(conditions)) say(`${name}: ${value}`)

  const accepted: Bench['accepted'] = { parley: new Map(), socketio: new Map(), broadcast: new Map() }
  const results: Result[] = []
  for (const name of names) {
    results.push(await MEASURES[name]!({ servers, pinning, isShort, accepted, say: text => say(`${name}: ${text}`) }))
  }
  await servers.settle()
  const verified = [
    await verifyDatabase(servers.database, accepted.parley),
    await verifyBaseline(servers.socketioDatabase, accepted.socketio)
  ].join('; ')
  say(`checked: nothing lost, nothing twice, all in order; ${verified}`)
  const counters = await servers.readCounters()
  say(
    `counted: ${Object.entries(counters)
      .map(([name, count]) => `${name} ${count}`)
      .join(', ')}`
  )
  conditions['load average after'] = loadavg()
    .map(load => load.toFixed(2))
    .join(' ')

  const rows = results.flatMap(result => result.rows)
  const grown = results.flatMap(result => result.growth ?? [])
  const verdicts = results.flatMap(result => result.verdicts)
  const seconds = (Date.now() - startedAt) / 1_000
  const all = { conditions, verified, counters, seconds, verdicts, rows: rows.map(toJson), growth: grown }
  await writeFile(jsonFile, `${JSON.stringify(all, null, 2)}\n`)
  const print = (text: string) => process.stdout.write(`\n${text}\n`)
  if (rows.length > 0) print(`Medians of the rounds (lowest–highest); ratios are Parley : other.\n\n${toTable(rows)}`)
  if (grown.length > 0) print(toGrowthTable(grown))
  print(toVerdictTable(verdicts))
  print(`load average: ${conditions['load average before']} before, ${conditions['load average after']} after\nas JSON: ${jsonFile}`)
}
