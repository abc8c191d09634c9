import { setTimeout as delay } from 'node:timers/promises'
import type { FaultCase } from '../trial.ts'

/** Shorter than a stop under load takes, mostly. */
const GRACE_MAX_MS = 300

export const impatientStop: FaultCase = {
  id: 'T-DP-2',
  title: 'a gateway or message-store is told to stop, and killed before it has (SIGTERM, SIGKILL)',
  pass: 'as if it had been killed outright',
  async run(trial) {
    const { gateways, stores } = trial.platform
    const all = [...gateways, ...stores]
    let killed = 0
    const count = trial.times(30, 4)
    for (let n = 0; n < count; n++) {
      // Each in turn in the short form, any in the long one.
      const process = trial.isShort ? all[n % all.length]! : trial.random.pick(all)
      // Whoever has nothing in hand may be quicker than any grace; the first one gets none.
      const graceMs = n === 0 ? 0 : trial.random.between(0, GRACE_MAX_MS)
      await trial.strike(`SIGTERM ${process.name}, SIGKILL after ${Math.round(graceMs)} ms`, {
        kills: 1,
        async down() {
          process.kill('SIGTERM')
          await Promise.race([process.exited, delay(graceMs)])
          process.kill('SIGKILL')
          if ((await process.exited).signal === 'SIGKILL') killed++
        },
        up: () => process.start()
      })
      await trial.pause()
    }
    trial.expect(killed > 0, 'each had ended by itself before it was killed')
    trial.measured.set('killed before they had ended', `${killed} of ${count}`)
  }
}
