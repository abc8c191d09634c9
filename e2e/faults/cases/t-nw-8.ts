import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { freePort } from '@parley/local'
import { TestProcess, temporaryFolder, until } from '@parley/test-kit'
import { startLink } from '../proxy.ts'
import type { FaultCase, Trial } from '../trial.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
/** How long a service waits for NATS as it starts. */
const NATS_MS = 10_000
/** Loading a service, on a machine that has more to do than it can. */
const LOADING_MS = 90_000
/** Reserved: no resolver gives it an address. */
const NOWHERE = 'no-such-host.invalid'
const STARTS_MAX = 3

export const awayAtStart: FaultCase = {
  id: 'T-NW-8',
  title: 'NATS or PostgreSQL cannot be reached as a service starts: the port is closed, the name has no address',
  pass: `without NATS it waits ${NATS_MS / 1_000} s and ends with one clear message, without PostgreSQL it waits; readiness is false; what appears in time is found`,
  async run(trial) {
    const closed = `127.0.0.1:${await freePort()}`
    const nowhere = { nats: `nats://${NOWHERE}:4222`, postgres: `postgres://parley@${NOWHERE}:5432/parley` }
    const roads = [
      () => endsWithoutNats(trial, 'message-store', `nats://${closed}`),
      () => endsWithoutNats(trial, 'gateway', nowhere.nats),
      () => waitsForNats(trial),
      () => waitsForPostgres(trial),
      () => staysUnready(trial, nowhere.postgres),
      ...(trial.isShort
        ? []
        : [
            () => endsWithoutNats(trial, 'gateway', `nats://${closed}`),
            () => endsWithoutNats(trial, 'message-store', nowhere.nats),
            () => endsUnderLauncher(trial, `nats://${closed}`)
          ])
    ]
    await trial.strike(`services start without what they need, ${roads.length} ways`, {
      down: () => Promise.all(roads.map(road => road()))
    })
  }
}

let count = 0

/** A service beside the platform's own; it is not waited for. */
async function prepare(trial: Trial, service: 'gateway' | 'message-store', env: NodeJS.ProcessEnv): Promise<TestProcess> {
  const [port, opsPort] = [await freePort(), await freePort()]
  const name = `${service}-without-${++count}`
  const process_ = new TestProcess({
    name,
    entry: join(ROOT, `services/${service}/src/main.ts`),
    env: {
      PATH: process.env.PATH,
      NODE_ENV: 'test',
      OPS_PORT: `${opsPort}`,
      PARLEY_INSTANCE: name,
      NATS_URL: trial.platform.nats.url,
      ...(service === 'gateway'
        ? {
            REDIS_URL: trial.platform.redis.url,
            JWT_SECRET_KEY: randomBytes(32).toString('base64url'),
            HOST: '127.0.0.1',
            PORT: `${port}`,
            DEMO: '0'
          }
        : { DATABASE_URL: trial.platform.postgres.url }),
      ...env
    },
    url: '',
    opsUrl: `http://127.0.0.1:${opsPort}`,
    logFile: join(await temporaryFolder(trial.scope, name), 'log')
  })
  trial.scope.teardown(() => process_.stop())
  return process_
}

interface Ready {
  status: number
  dependencies: Record<string, string>
}

async function readiness({ opsUrl }: TestProcess): Promise<Ready | undefined> {
  const answer = await fetch(`${opsUrl}/health/ready`, { signal: AbortSignal.timeout(5_000) }).catch(() => undefined)
  return answer && { status: answer.status, dependencies: ((await answer.json()) as Ready).dependencies }
}

const occurrences = (text: string, of: string): number => text.split(of).length - 1

async function endsWithoutNats(trial: Trial, service: 'gateway' | 'message-store', url: string): Promise<void> {
  const process = await prepare(trial, service, { NATS_URL: url })
  const since = performance.now()
  const ended = await process.start().then(
    () => 'became ready',
    (error: Error) => error.message
  )
  const took = performance.now() - since
  const log = await process.log()
  const said = occurrences(log, `NATS cannot be reached at ${url}`)
  trial.expect(ended.startsWith(`${process.name} ended with 1`) && said === 1, `${service} without NATS at ${url}: ${ended}`)
  trial.expect(took <= NATS_MS + LOADING_MS, `${service} without NATS ended after ${Math.round(took)} ms`)
  trial.measured.set(`${service} without NATS ends after`, `${(took / 1_000).toFixed(1)} s`)
}

/** The server comes while the service waits for it. */
async function waitsForNats(trial: Trial): Promise<void> {
  const link = await startLink(trial.scope, trial.platform.nats.url)
  link.isRefusing = true
  const process = await prepare(trial, 'message-store', { NATS_URL: link.url })
  const started = process.start().then(
    () => true,
    (error: Error) => error.message
  )
  await until(async () => occurrences(await process.log(), 'nats cannot be reached yet') === 1, {
    timeoutMs: LOADING_MS,
    what: 'the service says that it waits for NATS'
  })
  trial.expect(!(await process.isReady()), 'a service without NATS says that it is ready')
  link.heal()
  const outcome = await started
  trial.expect(outcome === true, `a service to which NATS came in time: ${outcome}`)
  await process.stop()
}

async function waitsForPostgres(trial: Trial): Promise<void> {
  const link = await startLink(trial.scope, trial.platform.postgres.url)
  link.isRefusing = true
  const process = await prepare(trial, 'message-store', { DATABASE_URL: link.url })
  const started = process.start().then(
    () => true,
    (error: Error) => error.message
  )
  await until(async () => (await readiness(process))?.dependencies.postgres === 'down', {
    timeoutMs: LOADING_MS,
    what: 'readiness names PostgreSQL'
  })
  const { pid } = process
  link.heal()
  const outcome = await started
  trial.expect(outcome === true && process.pid === pid, `a store to which PostgreSQL came late: ${outcome}`)
  await process.stop()
}

async function staysUnready(trial: Trial, url: string): Promise<void> {
  const process = await prepare(trial, 'message-store', { DATABASE_URL: url })
  const started = process.start().catch(() => {})
  const ready = await until(() => readiness(process), { timeoutMs: LOADING_MS, what: 'the store answers for its readiness' })
  trial.expect(ready.status === 503 && ready.dependencies.postgres === 'down', `without PostgreSQL it says ${JSON.stringify(ready)}`)
  await delay(trial.times(15_000, 1_000))
  const still = await readiness(process)
  trial.expect(still?.status === 503, `after a while without PostgreSQL: ${JSON.stringify(still)}`)
  // Where no name server answers, it takes its time to find that out.
  await until(async () => (await process.log()).includes(NOWHERE), { timeoutMs: LOADING_MS, what: 'the log names the host' }).catch(() =>
    trial.expect(false, 'the log does not say which host has no address')
  )
  await process.stop()
  await started
}

/** The launcher gives up with the service's own words: it does not start it again and again. */
async function endsUnderLauncher(trial: Trial, natsUrl: string): Promise<void> {
  const child = spawn(process.execPath, [join(ROOT, 'deploy/local/src/launch.ts')], {
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      PORT: `${await freePort()}`,
      PARLEY_DATA_DIR: await temporaryFolder(trial.scope, 'launcher'),
      DATABASE_URL: trial.platform.postgres.url,
      REDIS_URL: trial.platform.redis.url,
      NATS_URL: natsUrl,
      DEMO: '0'
    },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc']
  })
  trial.scope.teardown(() => child.kill('SIGKILL'))
  let said = ''
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.setEncoding('utf8').on('data', text => {
      said += text
    })
  }
  const [code] = await once(child, 'close')
  const starts = occurrences(said, `NATS cannot be reached at ${natsUrl}`)
  trial.expect(code === 1 && starts >= 1 && starts <= STARTS_MAX, `the launcher ended with ${code} after ${starts} starts: ${said}`)
}
