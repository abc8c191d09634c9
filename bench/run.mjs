import { bootstrap } from '../deploy/local/bootstrap.mjs'

await bootstrap('bench/src/main.ts')
