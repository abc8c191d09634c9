import { bootstrap } from '../../bootstrap.mjs'

await bootstrap('deploy/local/test/stand-in/launch.ts')
