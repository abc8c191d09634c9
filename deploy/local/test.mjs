import { bootstrap } from './bootstrap.mjs'

await bootstrap('deploy/local/src/test.ts')
