import { bootstrap } from '../../deploy/local/bootstrap.mjs'

await bootstrap('e2e/faults/main.ts')
