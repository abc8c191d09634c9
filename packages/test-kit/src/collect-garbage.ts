import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

// The flag is not one that NODE_OPTIONS takes.
setFlagsFromString('--expose-gc')
const collect: () => void = runInNewContext('gc')
setInterval(collect, 500).unref()
