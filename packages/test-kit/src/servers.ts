import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Exit, freePort, type Server, startNats, startPostgres, startRedis } from '@parley/local'
import type { Scope } from './scope.ts'

type Start = (options: { dataDir: string; port?: number }) => Promise<Server>

/** A server of a test's own: it may be killed, frozen and started again on the same port with what it had stored. */
export class TestServer {
  readonly #start: Start
  readonly #dataDir: string
  #running: Server

  constructor(start: Start, dataDir: string, running: Server) {
    this.#start = start
    this.#dataDir = dataDir
    this.#running = running
  }

  get url(): string {
    return this.#running.url
  }

  get port(): number {
    return this.#running.port
  }

  get pid(): number {
    return this.#running.pid
  }

  get exited(): Promise<Exit> {
    return this.#running.exited
  }

  /** Shuts it down in order and waits until it is gone. */
  stop(): Promise<void> {
    return this.#running.stop()
  }

  /** Ends it and all its workers without a word, and waits until it is gone. */
  async crash(): Promise<void> {
    // Held first: what is killed one by one would otherwise notice, and end in order or be started again.
    await this.#signalAll('SIGSTOP')
    await this.#signalAll('SIGKILL')
    await this.#running.exited
  }

  /** Starts it again where it was. */
  async start(): Promise<void> {
    this.#running = await this.#start({ dataDir: this.#dataDir, port: this.port })
  }

  /** Holds the server and all its workers: connections stand, nothing is answered any more. */
  async freeze(): Promise<void> {
    await this.#signalAll('SIGSTOP')
  }

  async thaw(): Promise<void> {
    await this.#signalAll('SIGCONT')
  }

  async #signalAll(signal: NodeJS.Signals): Promise<void> {
    for (const pid of [this.pid, ...(await childrenOf(this.pid))]) {
      try {
        process.kill(pid, signal)
      } catch {
        // It has ended meanwhile.
      }
    }
  }
}

async function childrenOf(pid: number): Promise<number[]> {
  const list = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '')
  return list.split(' ').filter(Boolean).map(Number)
}

async function startServer(t: Scope, name: string, start: Start): Promise<TestServer> {
  const dataDir = await temporaryFolder(t, name)
  const server = new TestServer(start, dataDir, await start({ dataDir }))
  t.teardown(async () => {
    await server.thaw()
    await server.stop()
  })
  return server
}

/** A folder that is gone when the test is over. */
export async function temporaryFolder(t: Scope, name: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), `parley-${name}-`))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** A NATS server, with the place where it says what it is set to. */
export type TestNats = TestServer & { readonly monitorUrl: string }

/**
 * Starts a NATS server of a test's own, with JetStream in a folder that is removed with it. It does not flush each message,
 * which no test but those of durability needs.
 */
export async function startTestNats(t: Scope, { syncAlways = false }: { syncAlways?: boolean } = {}): Promise<TestNats> {
  const monitorPort = await freePort()
  const server = await startServer(t, 'nats', options => startNats({ ...options, monitorPort, syncAlways }))
  return Object.assign(server, { monitorUrl: `http://127.0.0.1:${monitorPort}` })
}

/** Starts a Redis of a test's own. */
export const startTestRedis = (t: Scope): Promise<TestServer> => startServer(t, 'redis', startRedis)

/**
 * Starts a PostgreSQL of a test's own, for those that kill or freeze it; its database is empty. All others share one:
 * `freshDatabase`.
 */
export const startTestPostgres = (t: Scope, { settings = {} }: { settings?: Record<string, string> } = {}): Promise<TestServer> =>
  startServer(t, 'postgres', options => startPostgres({ ...options, settings }))
