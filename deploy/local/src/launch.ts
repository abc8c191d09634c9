import { PROGRAMS } from './launcher.ts'
import { runLauncher } from './run-launcher.ts'

await runLauncher(PROGRAMS)
