import type { FaultCase } from '../trial.ts'
import { killGateway } from './t-cr-1.ts'
import { killStore } from './t-cr-2.ts'
import { killBetweenCommitAndPublish } from './t-cr-3.ts'
import { killNats } from './t-cr-4.ts'
import { loseStream } from './t-cr-5.ts'
import { killPostgres } from './t-cr-6.ts'
import { killEverything } from './t-cr-10.ts'
import { fillPostgresDisk } from './t-di-1.ts'
import { fillStreamDisk } from './t-di-2.ts'
import { rollingRestart } from './t-dp-1.ts'
import { impatientStop } from './t-dp-2.ts'
import { traceFlushes } from './t-dur-3.ts'
import { reconnectStorm } from './t-ld-1.ts'
import { subscribeStorm } from './t-ld-2.ts'
import { slowReaders } from './t-ld-3.ts'
import { floods } from './t-ld-4.ts'
import { slowConnections } from './t-ld-5.ts'
import { hotConversation } from './t-ld-6.ts'
import { longAway } from './t-ld-7.ts'
import { slowAndBreaking } from './t-nw-1.ts'
import { silentBus } from './t-nw-2.ts'
import { silentDatabase } from './t-nw-3.ts'
import { pulledCable } from './t-nw-4.ts'
import { lostAnswer } from './t-nw-5.ts'
import { slowLine } from './t-nw-6.ts'
import { flippedBits } from './t-nw-7.ts'
import { awayAtStart } from './t-nw-8.ts'
import { holdProcesses } from './t-pa-1.ts'
import { poison } from './t-pm-1.ts'
import { deletedConsumer } from './t-pm-2.ts'
import { foreignOrganization } from './t-tn-1.ts'
import { poolReuse } from './t-tn-2.ts'

/** Every case, in the order they run in. */
export const CASES: readonly FaultCase[] = [
  killGateway,
  killStore,
  killBetweenCommitAndPublish,
  killNats,
  loseStream,
  killPostgres,
  killEverything,
  holdProcesses,
  fillPostgresDisk,
  fillStreamDisk,
  traceFlushes,
  reconnectStorm,
  subscribeStorm,
  slowReaders,
  floods,
  slowConnections,
  hotConversation,
  longAway,
  rollingRestart,
  impatientStop,
  poison,
  deletedConsumer,
  slowAndBreaking,
  silentBus,
  silentDatabase,
  pulledCable,
  lostAnswer,
  slowLine,
  flippedBits,
  awayAtStart,
  foreignOrganization,
  poolReuse
]
