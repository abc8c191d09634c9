import { loadConfig, run } from '@parley/service-kit'
import { buildApp } from './app.ts'
import { Config } from './config.ts'

await run(async () => {
  const config = loadConfig(Config)
  // Sending the sockets away comes before everything else that a stop does.
  return { app: await buildApp(config), port: config.OPS_PORT, host: config.OPS_HOST, graceMs: config.DRAIN_WINDOW_MS + 10_000 }
})
