import { bootstrap } from './bootstrap.mjs'

await bootstrap('deploy/local/src/dead-letters.ts')
