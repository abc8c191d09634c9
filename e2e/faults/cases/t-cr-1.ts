import { type FaultCase, killProcess } from '../trial.ts'

export const killGateway: FaultCase = {
  id: 'T-CR-1',
  title: 'a gateway is killed (kill -9)',
  pass: 'clients resume on the other gateway',
  backWithinMs: 3_000,
  async run(trial) {
    const { gateways } = trial.platform
    for (let n = 0; n < trial.times(35, 4); n++) {
      const gateway = trial.random.pick(gateways)
      await trial.strike(`kill -9 ${gateway.name}`, { kills: 1, down: () => killProcess(gateway), up: () => gateway.start() })
      await trial.pause()
    }
  }
}
