import type { FaultCase } from '../trial.ts'
import { expectRefusals, watchSockets } from './outage.ts'

/** In every so many outages the harness asks what is answered meanwhile; the others are as short as a restart. */
const ASK_EVERY = 5

export const killNats: FaultCase = {
  id: 'T-CR-4',
  title: 'NATS is killed (kill -9) and started again',
  pass: 'meanwhile sends are refused with 503, for a gateway has no other way to a store; then live delivery goes on',
  backWithinMs: 5_000,
  async run(trial) {
    const { nats } = trial.platform
    const expectStanding = watchSockets(trial)
    for (let n = 0; n < trial.times(20, 3); n++) {
      await trial.strike('kill -9 nats', {
        kills: 1,
        down: () => nats.crash(),
        async up() {
          if (n % ASK_EVERY === 0) await expectRefusals(trial, 'without NATS')
          await nats.start()
        }
      })
      await trial.pause()
    }
    expectStanding()
  }
}
