import type { FaultCase } from '../trial.ts'
import { expectRefusals, watchSockets } from './outage.ts'

const ASK_EVERY = 5

export const killPostgres: FaultCase = {
  id: 'T-CR-6',
  title: 'PostgreSQL is killed (kill -9 of all its processes) and started again',
  pass: 'meanwhile sends are refused with 503; then all goes on, once its log is replayed',
  backWithinMs: 5_000,
  async run(trial) {
    const { postgres } = trial.platform
    const expectStanding = watchSockets(trial)
    for (let n = 0; n < trial.times(20, 3); n++) {
      await trial.strike('kill -9 postgres', {
        kills: 1,
        down: () => postgres.crash(),
        async up() {
          if (n % ASK_EVERY === 0) await expectRefusals(trial, 'without PostgreSQL')
          await postgres.start()
        }
      })
      await trial.pause()
    }
    expectStanding()
  }
}
