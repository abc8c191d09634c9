import { join } from 'node:path'
import { runLauncher } from '../../src/run-launcher.ts'

const file = (name: string) => join(import.meta.dirname, name)

await runLauncher({
  services: [
    { name: 'message-store', entry: file('service.ts'), hasDatabase: true },
    { name: 'gateway', entry: file('service.ts'), isPublic: true }
  ],
  migrate: file('migrate.ts'),
  demo: file('none.ts'),
  webClient: false
})
