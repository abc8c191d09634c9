import type { FaultCase } from '../trial.ts'

interface Held {
  name: string
  hold(): Promise<unknown> | unknown
  release(): Promise<unknown> | unknown
}

export const holdProcesses: FaultCase = {
  id: 'T-PA-1',
  title: 'a gateway, a store, NATS, PostgreSQL is held for seconds (SIGSTOP), and let go on',
  pass: 'nobody believes to own what another has taken over; everyone is back after it goes on',
  async run(trial) {
    const { gateways, stores, nats, postgres } = trial.platform
    const kinds: (() => Held)[] = [
      ...[gateways, stores].map(processes => () => {
        const process = trial.random.pick(processes)
        return { name: process.name, hold: () => process.kill('SIGSTOP'), release: () => process.kill('SIGCONT') }
      }),
      () => ({ name: 'nats', hold: () => nats.freeze(), release: () => nats.thaw() }),
      () => ({ name: 'postgres', hold: () => postgres.freeze(), release: () => postgres.thaw() })
    ]
    for (let n = 0; n < trial.times(3, 1); n++) {
      for (const kind of trial.random.shuffle(kinds)) {
        const { name, hold, release } = kind()
        await trial.strike(`${name} is held`, {
          countFrom: 'up',
          down: async () => hold(),
          async up() {
            await (trial.isShort ? trial.pause(1_500, 2_500) : trial.pause(3_000, 8_000))
            await release()
          }
        })
        await trial.pause()
      }
    }
  }
}
