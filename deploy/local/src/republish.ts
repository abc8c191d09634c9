import { join, resolve } from 'node:path'
import { readServers } from './data-folder.ts'
import { report } from './report.ts'
import { ROOT } from './settings.ts'

// Publishes the events of the platform that `npm start` runs on this folder again, or of the servers that are named.
const { env } = process
const dataDir = resolve(ROOT, env.PARLEY_DATA_DIR || '.parley')
if ((!env.DATABASE_URL || !env.NATS_URL) && !process.argv.includes('--help')) {
  const servers = await readServers(dataDir)
  if (!servers) {
    report.error(`no Parley runs on ${dataDir}: start it first, or set DATABASE_URL and NATS_URL`)
    process.exit(1)
  }
  env.DATABASE_URL ||= servers.database
  env.NATS_URL ||= servers.nats
}
await import(join(ROOT, 'services/message-store/src/republish.ts'))
