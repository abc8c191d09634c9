import { type ChildProcess, spawn } from 'node:child_process'
import { open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { COMPILE_CACHE, type Exit, freePort, NODE_FLAGS } from '@parley/local'
import type { Scope } from './scope.ts'
import { temporaryFolder } from './servers.ts'

const SERVICES = fileURLToPath(new URL('../../../services', import.meta.url))

/** As `NODE_OPTIONS` of a message-store: it dies right after its first commit of messages, before anything is published. */
export const DIES_AFTER_COMMIT = `--import=${new URL('die-after-commit.ts', import.meta.url).href}`

/** As `NODE_OPTIONS` of a service: each statement for PostgreSQL is a byte more in the file `PARLEY_TEST_STATEMENTS`. */
export const COUNT_STATEMENTS = `--import=${new URL('count-statements.ts', import.meta.url).href}`

/** As `NODE_OPTIONS`: the process collects its garbage twice a second, so that what it holds is what it needs. */
export const COLLECTS_GARBAGE = `--import=${new URL('collect-garbage.ts', import.meta.url).href}`

/** A machine that others work on as well has taken 25 s to load a gateway. */
const START_MS = 60_000
/** Above what a service allows itself to stop in. */
const STOP_MS = 12_000
const TAIL_LINES = 20

/** A service as a process of its own, the way the launcher runs it: it ends with the test, whatever ends that. */
export class TestProcess {
  readonly name: string
  /** The public door; empty where the service has none. */
  readonly url: string
  /** Health and metrics. */
  readonly opsUrl: string
  readonly #entry: string
  readonly #env: NodeJS.ProcessEnv
  readonly #logFile: string
  #child: ChildProcess | undefined
  #exited: Promise<Exit> = Promise.resolve({ code: null, signal: null })

  constructor({ name, entry, env, url, opsUrl, logFile }: { name: string; entry: string; env: NodeJS.ProcessEnv } & Doors) {
    this.name = name
    this.url = url
    this.opsUrl = opsUrl
    this.#entry = entry
    this.#env = env
    this.#logFile = logFile
  }

  get pid(): number {
    return this.#child?.pid ?? 0
  }

  /** Settles when the process of now is gone, whoever ended it. */
  get exited(): Promise<Exit> {
    return this.#exited
  }

  /** Everything it has logged, over all its lives. */
  log(): Promise<string> {
    return readFile(this.#logFile, 'utf8')
  }

  kill(signal: NodeJS.Signals): void {
    this.#child?.kill(signal)
  }

  /** @throws Error with the end of its log when it is not ready in time */
  async start(): Promise<void> {
    const log = await open(this.#logFile, 'a')
    const child = spawn(process.execPath, [...NODE_FLAGS, this.#entry], {
      env: { ...COMPILE_CACHE, ...this.#env },
      stdio: ['ignore', log.fd, log.fd, 'ipc']
    })
    await log.close()
    this.#child = child
    let ended: Exit | undefined
    this.#exited = new Promise(resolve => {
      child.once('exit', (code, signal) => {
        ended = { code, signal }
        resolve(ended)
      })
    })
    const deadline = Date.now() + START_MS
    while (!(await this.isReady())) {
      if (ended || Date.now() > deadline) {
        const why = ended ? `ended with ${ended.signal ?? ended.code}` : 'was not ready in time'
        const tail = (await this.log()).trimEnd().split('\n').slice(-TAIL_LINES).join('\n')
        await this.stop()
        throw new Error(`${this.name} ${why}:\n${tail}`)
      }
      await Promise.race([this.#exited, delay(20)])
    }
  }

  async isReady(): Promise<boolean> {
    return (await fetch(`${this.opsUrl}/health/ready`, { signal: AbortSignal.timeout(2_000) }).catch(() => undefined))?.status === 200
  }

  /** Asks it to stop, and ends it where it does not. */
  async stop(): Promise<Exit> {
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null) return this.#exited
    child.kill('SIGCONT')
    child.kill('SIGTERM')
    const patience = new AbortController()
    await Promise.race([this.#exited, delay(STOP_MS, undefined, { signal: patience.signal }).catch(() => {})])
    patience.abort()
    child.kill('SIGKILL')
    return this.#exited
  }

  /** Starts it again on the same ports, after its end; one that still runs is stopped first. */
  async restart(): Promise<void> {
    await this.stop()
    await this.start()
  }
}

/** A run of all tests has put each service into one file; what is loaded into a service looks for the packages themselves. */
function entryOf(service: string, env: NodeJS.ProcessEnv = {}): string {
  const bundles = process.env.PARLEY_TEST_SERVICES
  return bundles && !env.NODE_OPTIONS ? join(bundles, `${service}.mjs`) : join(SERVICES, service, 'src/main.ts')
}

interface Doors {
  url: string
  opsUrl: string
  logFile: string
}

export interface ProcessOptions {
  /** Further settings; they win. `NODE_OPTIONS` is one. */
  env?: NodeJS.ProcessEnv
  instance?: string
}

async function startProcess(t: Scope, service: string, env: NodeJS.ProcessEnv, { instance, ...options }: ProcessOptions, port?: number) {
  const name = instance ?? `${service}-1`
  const opsPort = await freePort()
  const started = new TestProcess({
    name,
    entry: entryOf(service, options.env),
    // Nothing of the runner's own environment: it would follow the process into the service.
    env: { PATH: process.env.PATH, NODE_ENV: 'test', OPS_PORT: `${opsPort}`, PARLEY_INSTANCE: name, ...env, ...options.env },
    url: port === undefined ? '' : `http://127.0.0.1:${port}`,
    opsUrl: `http://127.0.0.1:${opsPort}`,
    logFile: join(await temporaryFolder(t, service), 'log')
  })
  t.teardown(() => started.stop())
  await started.start()
  return started
}

/** Starts a message-store and resolves once it is ready. */
export function startStore(
  t: Scope,
  { databaseUrl, natsUrl, ...options }: { databaseUrl: string; natsUrl: string } & ProcessOptions
): Promise<TestProcess> {
  return startProcess(t, 'message-store', { DATABASE_URL: databaseUrl, NATS_URL: natsUrl }, options)
}

/** Starts a gateway and resolves once it is ready. */
export async function startGateway(
  t: Scope,
  {
    natsUrl,
    redisUrl,
    secret,
    demo = false,
    ...options
  }: { natsUrl: string; redisUrl: string; secret: string; demo?: boolean } & ProcessOptions
): Promise<TestProcess> {
  const port = await freePort()
  const env = {
    NATS_URL: natsUrl,
    REDIS_URL: redisUrl,
    JWT_SECRET_KEY: secret,
    DEMO: demo ? '1' : '0',
    HOST: '127.0.0.1',
    PORT: `${port}`,
    // A stop in a test does not wait for clients that stay.
    DRAIN_WINDOW_MS: '500'
  }
  return startProcess(t, 'gateway', env, options, port)
}
