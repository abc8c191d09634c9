import { DIES_AFTER_COMMIT } from '@parley/test-kit'
import type { FaultCase, Trial } from '../trial.ts'
import { watchSockets } from './outage.ts'

/** Starts a store more that dies right after its first commit, and resolves once it is dead. */
async function startDyingStore(trial: Trial, n: number): Promise<void> {
  const env = { NODE_OPTIONS: DIES_AFTER_COMMIT }
  // Under load it may die before anybody has seen that it was ready.
  const store = await trial.platform.startStore(trial.scope, { instance: `dying-store-${n}`, env }).catch((error: Error) => {
    if (!error.message.includes('ended with SIGKILL')) throw error
  })
  const exit = await store?.exited
  trial.expect(exit === undefined || exit.signal === 'SIGKILL', `the dying store ended otherwise: ${JSON.stringify(exit)}`)
}

export const killBetweenCommitAndPublish: FaultCase = {
  id: 'T-CR-3',
  title: 'a message-store dies (kill -9) between the commit of a batch and its publishing',
  pass: 'the batch is published by another store; who sent it finds it stored when trying again',
  async run(trial) {
    const expectStanding = watchSockets(trial)
    for (let n = 1; n <= trial.times(16, 2); n++) {
      await trial.strike('a store dies after its commit', { kills: 1, down: () => startDyingStore(trial, n) })
      await trial.pause()
    }
    expectStanding()
  }
}
