import { setTimeout as delay } from 'node:timers/promises'
import type { TestProcess } from '@parley/test-kit'
import { type FaultCase, killProcess, type Trial } from '../trial.ts'

/** How often a service may end for want of something it needs, before it stays. */
const ENDS_MAX = 3
const AGAIN_AFTER_MS = 300

/** Starts a service as a supervisor does: again when it ends. */
async function supervise(trial: Trial, process: TestProcess): Promise<void> {
  for (let ends = 0; ; ends++) {
    const error = await process.start().then(
      () => undefined,
      (error: Error) => error
    )
    if (!error) return trial.expect(ends <= ENDS_MAX, `${process.name} ended ${ends} times before it stayed`)
    if (!error.message.includes('ended with')) throw error
    await delay(AGAIN_AFTER_MS)
  }
}

export const killEverything: FaultCase = {
  id: 'T-CR-10',
  title: 'everything is killed at once (kill -9) and started again in random order',
  pass: 'services wait for what they need, or end and are started again three times at most; then all goes on by itself',
  async run(trial) {
    const { gateways, stores, nats, redis, postgres } = trial.platform
    const processes = [...gateways, ...stores]
    const servers = [nats, redis, postgres]
    for (let n = 0; n < trial.times(9, 1); n++) {
      await trial.strike('kill -9 of everything', {
        kills: processes.length + servers.length,
        down: () => Promise.all([...processes.map(killProcess), ...servers.map(server => server.crash())]),
        async up() {
          const starts = [...processes.map(process => () => supervise(trial, process)), ...servers.map(server => () => server.start())]
          const started: Promise<void>[] = []
          for (const start of trial.random.shuffle(starts)) {
            started.push(start())
            await trial.pause(0, 300)
          }
          await Promise.all(started)
        }
      })
      await trial.pause()
    }
  }
}
