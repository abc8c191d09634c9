import type { Bus } from '@parley/nats-kit'
import type { FastifyBaseLogger } from 'fastify'
import type { Databases } from './db.ts'
import type { Jobs } from './jobs/jobs.ts'
import type { Batch } from './send/batch.ts'
import type { Publisher } from './send/publish.ts'

/** What endpoints work with. */
export interface Store extends Databases {
  bus: Bus
  batch: Batch
  publisher: Publisher
  log: FastifyBaseLogger
  jobs: Jobs
  /** How long a message may be edited; 0 is for ever. */
  editWindowSeconds: number
}
