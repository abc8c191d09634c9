import { type FaultCase, killProcess } from '../trial.ts'
import { watchSockets } from './outage.ts'

export const killStore: FaultCase = {
  id: 'T-CR-2',
  title: 'a message-store is killed (kill -9)',
  pass: 'every send in hand ends acknowledged once, or refused so that it may be tried again',
  backWithinMs: 3_000,
  async run(trial) {
    const { stores } = trial.platform
    const expectStanding = watchSockets(trial)
    for (let n = 0; n < trial.times(35, 3); n++) {
      const store = trial.random.pick(stores)
      await trial.strike(`kill -9 ${store.name}`, { kills: 1, down: () => killProcess(store), up: () => store.start() })
      await trial.pause()
    }
    expectStanding()
  }
}
