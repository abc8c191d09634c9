import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { findProgram, REDIS } from './debian-packages.ts'
import { onPort } from './ports.ts'
import { askPort, type Server, startServer, untilUnused } from './process.ts'

export interface RedisOptions {
  dataDir: string
  port?: number
  logFile?: string
}

/** Starts Redis on a loopback port, in memory alone: what is lost with it can be found out again. */
export async function startRedis({ dataDir, port, logFile }: RedisOptions): Promise<Server> {
  const folder = resolve(dataDir)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const { path, env } = await findProgram(REDIS, folder)
  await untilUnused(folder, { name: 'redis' })
  return onPort(port, chosen =>
    startServer({
      name: 'redis',
      command: path,
      args: ['--bind', '127.0.0.1', '--port', `${chosen}`, '--save', '', '--appendonly', 'no', '--dir', folder],
      cwd: folder,
      env,
      port: chosen,
      url: `redis://127.0.0.1:${chosen}`,
      logFile: logFile ?? join(folder, 'redis.log'),
      stopSignals: ['SIGTERM'],
      isReady: async () => (await askPort(chosen, 'PING\r\n'))?.startsWith('+PONG') ?? false
    })
  )
}
