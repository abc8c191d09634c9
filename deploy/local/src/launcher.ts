import { existsSync } from 'node:fs'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { belongingTo, DataFolder } from './data-folder.ts'
import { startNats } from './nats.ts'
import { freePort, portProblem } from './ports.ts'
import { startPostgres } from './postgres.ts'
import { runCommand, type Server } from './process.ts'
import { startRedis } from './redis.ts'
import { report, stopwatch } from './report.ts'
import { startService, untilReady } from './service.ts'
import { Refusal, ROOT, type Settings } from './settings.ts'
import { type Running, Supervised } from './supervise.ts'
import { buildWebClient, hasWebClient, WEB_ROOT } from './web-client.ts'

export interface Service {
  name: string
  entry: string
  /** Listens on the public door (PORT) and serves the web client. */
  isPublic?: boolean
  /** May know where the database is. */
  hasDatabase?: boolean
}

export interface Programs {
  /** In the order in which they start; they stop in the reverse. */
  services: Service[]
  migrate: string
  demo: string
  webClient: boolean
}

const READY_MS = 30_000
const LOG_LINES_SHOWN = 20

/** The whole platform on one machine: servers, services and their supervision, from `start` to `stop`. */
export class Launcher {
  readonly #settings: Settings
  readonly #programs: Programs
  /** In the order in which they were started. */
  readonly #supervised: Supervised[] = []
  readonly #hurry = new AbortController()
  #folder: DataFolder | undefined
  #stopped: Promise<void> | undefined

  constructor(settings: Settings, programs: Programs) {
    this.#settings = settings
    this.#programs = programs
  }

  /**
   * Starts everything and resolves once all services are ready.
   *
   * @throws Refusal when it cannot; `stop` is then still to be called
   */
  async start(): Promise<void> {
    const { host, port, dataDir, env } = this.#settings
    this.#folder = await DataFolder.open(dataDir)
    const problem = await portProblem(port, host)
    if (problem === 'EADDRINUSE') {
      throw new Refusal(`port ${port} is already in use: stop what uses it, or choose another (PORT=${port + 1} npm start)`)
    }
    if (problem) throw new Refusal(`port ${port} on ${host} cannot be used (${problem}): choose another (PORT=3000 npm start)`)
    const webBuilt = this.#buildWebClient()
    // It is awaited below; a server that fails first must not turn its failure into an unhandled rejection.
    webBuilt.catch(() => undefined)
    const urls = await this.#startServers()
    await this.#folder.writeServers({ database: urls.database, nats: urls.nats })
    await this.#migrate(urls.database)
    await webBuilt

    const secret = this.#settings.jwtSecretKey ?? (this.#settings.jwksUrl ? undefined : await this.#folder.secret('jwt-secret'))
    const shared = {
      // On one machine there is nowhere else to go, and whoever presses Ctrl-C waits.
      DRAIN_WINDOW_MS: '1000',
      ...env,
      ...belongingTo(dataDir),
      NATS_URL: urls.nats,
      NATS_MONITOR_URL: urls.natsMonitor,
      REDIS_URL: urls.redis,
      DEMO: this.#settings.demo ? '1' : '0',
      ...(secret && { JWT_SECRET_KEY: secret })
    }
    const endpoints = { gateway: [] as string[], ops: {} as Record<string, string> }
    let nextPort = port
    for (const service of this.#programs.services) {
      const took = stopwatch()
      const count = this.#settings.scale.get(service.name) ?? 1
      const starts: Promise<void>[] = []
      for (let number = 1; number <= count; number++) {
        const name = `${service.name}-${number}`
        const opsPort = await freePort()
        const serviceEnv: NodeJS.ProcessEnv = { ...shared, PARLEY_INSTANCE: name, OPS_PORT: `${opsPort}`, HOST: host }
        delete serviceEnv.PORT
        if (service.hasDatabase) serviceEnv.DATABASE_URL = urls.database
        if (service.isPublic) {
          while (nextPort !== port && (await portProblem(nextPort, host))) nextPort++
          serviceEnv.PORT = `${nextPort}`
          if (this.#programs.webClient) serviceEnv.WEB_ROOT = WEB_ROOT
          endpoints.gateway.push(urlOf(host, nextPort))
          nextPort++
        }
        endpoints.ops[name] = `http://127.0.0.1:${opsPort}`
        starts.push(this.#startService(name, service.entry, serviceEnv, endpoints.ops[name]))
      }
      await Promise.all(starts)
      report.done(service.name, `${took()}${count > 1 ? `, ${count} of them` : ''}`)
    }
    await this.#folder.writeEndpoints(endpoints)
    if (this.#settings.demo && secret) await this.#fillDemo(endpoints.gateway[0]!, secret)
    if (this.#stopped) return
    process.stdout.write(`Parley is ready at ${endpoints.gateway[0]}\n`)
  }

  /** Stops everything that was started, the public door first and the database last. Asked again, it hurries. */
  stop(): Promise<void> {
    if (this.#stopped) this.#hurry.abort()
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async #stop(): Promise<void> {
    await this.#folder?.announceStop()
    const services = [...this.#programs.services].reverse().map(service => new RegExp(`^${service.name}-\\d+$`))
    for (const names of [...services, /^redis$/, /^nats$/, /^postgres$/]) {
      const group = this.#supervised.filter(({ name }) => names.test(name))
      await Promise.all(
        group.map(async supervised => {
          await supervised.stop(this.#hurry.signal)
          await this.#folder?.removePid(supervised.name)
        })
      )
    }
    await this.#folder?.close()
  }

  async #startServers(): Promise<{ database: string; nats: string; natsMonitor: string; redis: string }> {
    const { databaseUrl, natsUrl, natsMonitorUrl = '', redisUrl } = this.#settings
    // Of a server that is not ours, its owner says where.
    const monitor = { url: natsMonitorUrl, port: undefined as number | undefined }
    const options = (name: string, port?: number) => ({
      dataDir: this.#folder!.file(name),
      logFile: this.#folder!.logFile(name),
      ...(port !== undefined && { port })
    })
    const [database, nats, redis] = await Promise.all([
      databaseUrl ?? this.#startServer('postgres', port => startPostgres(options('postgres', port))),
      natsUrl ??
        this.#startServer('nats', async port => {
          const server = await startNats({ ...options('nats', port), ...(monitor.port !== undefined && { monitorPort: monitor.port }) })
          monitor.port = server.monitorPort
          monitor.url = server.monitorUrl
          return server
        }),
      redisUrl ?? this.#startServer('redis', port => startRedis(options('redis', port)))
    ])
    return { database, nats, natsMonitor: monitor.url, redis }
  }

  /** Starts one of our own servers; it comes back on the same port when it dies, so its clients find it again. */
  async #startServer(name: string, start: (port?: number) => Promise<Server>): Promise<string> {
    const took = stopwatch()
    let url = ''
    let port: number | undefined
    const supervised = this.#supervise(name, async () => {
      const server = await start(port)
      port = server.port
      url = server.url
      return server
    })
    await supervised.start()
    supervised.keep()
    report.done(name, `${took()}, 127.0.0.1:${port}`)
    return url
  }

  async #startService(name: string, entry: string, env: NodeJS.ProcessEnv, opsUrl: string): Promise<void> {
    const logFile = this.#folder!.logFile(name)
    const { size: logStart } = await stat(logFile)
    const supervised = this.#supervise(name, () => startService({ entry, env, logFile }))
    const running = await supervised.start()
    if (!(await untilReady(running, opsUrl, READY_MS))) {
      const log = (await readFile(logFile)).subarray(logStart).toString()
      throw new Refusal(`${lastLines(log)}\n\n${name} did not start; above are the last lines of ${logFile}`)
    }
    supervised.keep()
  }

  #supervise(name: string, start: () => Promise<Running>): Supervised {
    if (this.#stopped) throw new Refusal('stopped while starting')
    const supervised = new Supervised({
      name,
      start,
      onStart: pid => this.#folder!.writePid(name, pid),
      onTrouble: text => report.trouble(name, text)
    })
    this.#supervised.push(supervised)
    return supervised
  }

  async #buildWebClient(): Promise<void> {
    if (!this.#programs.webClient) return
    const took = stopwatch()
    if (await buildWebClient()) report.done('web client', `built in ${took()}`)
  }

  async #migrate(databaseUrl: string): Promise<void> {
    const took = stopwatch()
    const { ok, output } = await runCommand([process.execPath, this.#programs.migrate], {
      env: { ...this.#settings.env, DATABASE_URL: databaseUrl }
    })
    if (!ok) throw new Refusal(`${lastLines(output)}\n\nthe database could not be migrated; above is what was said about it`)
    report.done('migrations', took())
  }

  /** People and conversations to look at, made once for a data folder. A platform without them still runs. */
  async #fillDemo(gatewayUrl: string, secret: string): Promise<void> {
    const stamp = this.#folder!.file('demo-filled')
    if (!existsSync(this.#programs.demo) || existsSync(stamp)) return
    const took = stopwatch()
    const { ok, output } = await runCommand([process.execPath, this.#programs.demo, gatewayUrl], { env: { JWT_SECRET_KEY: secret } })
    if (!ok) return report.trouble('demo', `could not be filled, and will be tried at the next start:\n${lastLines(output)}`)
    await writeFile(stamp, '')
    report.done('demo', took())
  }
}

/** The services as they stand in this repository. */
export const PROGRAMS: Programs = {
  services: [
    { name: 'message-store', entry: join(ROOT, 'services/message-store/src/main.ts'), hasDatabase: true },
    { name: 'gateway', entry: join(ROOT, 'services/gateway/src/main.ts'), isPublic: true }
  ],
  migrate: join(ROOT, 'services/message-store/src/migrate.ts'),
  demo: join(ROOT, 'deploy/local/src/demo.ts'),
  webClient: hasWebClient()
}

function urlOf(host: string, port: number): string {
  const reachable = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host
  return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`
}

function lastLines(output: string): string {
  return output.trimEnd().split('\n').slice(-LOG_LINES_SHOWN).join('\n')
}
