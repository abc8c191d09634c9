import { join } from 'node:path'
import { until } from '@parley/test-kit'
import pg from 'pg'
import { SmallDisk } from '../disk.ts'
import type { FaultPlatform } from '../platform.ts'
import type { FaultCase } from '../trial.ts'
import { expectRefusals } from './outage.ts'

const MEGABYTE = 1024 * 1024
/** More log than the disk holds, so it is full whatever was kept ready. */
const LOG_MEGABYTES = 300

export const fillPostgresDisk: FaultCase = {
  id: 'T-DI-1',
  title: "the disk of PostgreSQL's log is full",
  pass: 'sends are refused with 503 meanwhile; once there is space all goes on without a word to the database',
  platform: { postgres: { min_wal_size: '32MB', max_wal_size: '48MB' } },
  async run(trial) {
    const { platform } = trial
    const { postgres, database } = platform
    const [{ data_directory }] = (await database.query('show data_directory')) as [{ data_directory: string }]
    const log = join(data_directory, 'pg_wal')
    const disk = await SmallDisk.mount(trial.scope, 128)
    await postgres.stop()
    await disk.take(log)
    await postgres.start()
    await trial.load.more(50)

    for (let n = 0; n < trial.times(5, 1); n++) {
      await trial.strike('disk of the log full', {
        countFrom: 'up',
        async down() {
          await disk.fill()
          await writeLog(postgres.url)
          // PostgreSQL ends at the first write, comes up by itself, and is read from until the next one.
          await expectRefusals(trial, 'with a full disk', { mayRead: true })
        },
        async up() {
          await disk.free()
          await untilServes(platform)
        }
      })
      await trial.pause()
    }
    await postgres.stop()
    await disk.giveBack(log)
    await postgres.start()
    await trial.load.more(50)
  }
}

/** Makes the server write its log until it cannot. */
async function writeLog(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  // It dies of what it is asked to do.
  client.on('error', () => {})
  try {
    await client.connect()
    for (let n = 0; n < LOG_MEGABYTES; n++)
      await client.query("select pg_logical_emit_message(false, 'fill', repeat('x', $1::int))", [MEGABYTE])
    throw new Error('the disk was not full')
  } catch (error) {
    if ((error as Error).message === 'the disk was not full') throw error
  } finally {
    await client.end().catch(() => {})
  }
}

/** What supervises it starts it again when it has ended, until it stays. */
async function untilServes({ postgres, database }: FaultPlatform): Promise<void> {
  await until(
    async () => {
      const hasEnded = await Promise.race([postgres.exited.then(() => true), new Promise<false>(resolve => setTimeout(resolve, 50, false))])
      if (hasEnded) await postgres.start()
      return database.query('select 1')
    },
    { timeoutMs: 25_000, what: 'PostgreSQL serves again' }
  )
}
