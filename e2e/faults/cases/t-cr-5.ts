import { type TestNats, until } from '@parley/test-kit'
import { loseStreams, readFromZero, readTables, runRepublish } from '../../src/change-log.ts'
import type { FaultCase } from '../trial.ts'

export const loseStream: FaultCase = {
  id: 'T-CR-5',
  title: 'NATS loses all that JetStream has stored',
  pass: 'the stream is made anew; published again from the tables, it has every message that was stored',
  async run(trial) {
    const { platform } = trial
    const nats = platform.nats as TestNats
    for (let n = 0; n < trial.times(6, 1); n++) {
      await trial.strike('the folder of JetStream is removed', { kills: 1, down: () => loseStreams(nats) })
      await until(() => readFromZero(nats), { timeoutMs: 15_000, what: 'the stream is there again' })
      const wanted = await readTables(platform.database)
      await runRepublish({ database: platform.database, nats }, '--rate', '100000')
      const held = await readFromZero(nats)
      const missing = [...wanted].filter(([id, { version }]) => (held.get(id)?.version ?? 0) < version)
      trial.expect(missing.length === 0, `${missing.length} of ${wanted.size} messages are not in the stream`)
      await trial.pause()
    }
  }
}
