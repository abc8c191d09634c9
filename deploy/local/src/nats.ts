import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { findProgram, isAtLeast, NATS } from './debian-packages.ts'
import { freePort, onPort } from './ports.ts'
import { askPort, type Server, startServer, untilUnused } from './process.ts'

export interface NatsOptions {
  /** Holds the streams, the configuration and the log. */
  dataDir: string
  port?: number
  /** Where it says what it is set to, and how it is. */
  monitorPort?: number
  logFile?: string
  /** Flush each stored message to the disk before it is acknowledged (true). */
  syncAlways?: boolean
}

export interface NatsServer extends Server {
  readonly monitorPort: number
  readonly monitorUrl: string
}

/** Starts a NATS server with JetStream on a loopback port. A server older than 2.10 cannot flush each message and flushes every ten seconds. */
export async function startNats({ dataDir, port, monitorPort, logFile, syncAlways = true }: NatsOptions): Promise<NatsServer> {
  const folder = resolve(dataDir)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const { path, env, version } = await findProgram(NATS, folder)
  await untilUnused(folder, { name: 'nats' })
  const sync = syncAlways && isAtLeast(version, '2.10') ? 'sync_interval: always' : ''
  return onPort(port, async chosen => {
    const config = join(folder, 'nats.conf')
    const monitor = monitorPort ?? (await freePort())
    const lines = [
      `listen: "127.0.0.1:${chosen}"`,
      `http: "127.0.0.1:${monitor}"`,
      'server_name: parley',
      'max_payload: 8MB',
      `jetstream { store_dir: ${JSON.stringify(folder)}, max_memory_store: 256MB, max_file_store: 64GB, ${sync} }`
    ]
    await writeFile(`${config}.new`, `${lines.join('\n')}\n`)
    await rename(`${config}.new`, config)
    const server = await startServer({
      name: 'nats',
      command: path,
      args: ['-c', config],
      cwd: folder,
      env,
      port: chosen,
      url: `nats://127.0.0.1:${chosen}`,
      logFile: logFile ?? join(folder, 'nats.log'),
      stopSignals: ['SIGTERM'],
      isReady: async () => /^INFO .*"jetstream":true/.test((await askPort(chosen, '')) ?? '')
    })
    return { ...server, monitorPort: monitor, monitorUrl: `http://127.0.0.1:${monitor}` }
  })
}
