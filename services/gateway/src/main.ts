import { loadConfig, run } from '@parley/service-kit'
import { buildApp } from './app.ts'
import { Config } from './config.ts'

await run(async () => {
  const config = loadConfig(Config)
  return { app: await buildApp(config), port: config.OPS_PORT, host: config.OPS_HOST }
})
