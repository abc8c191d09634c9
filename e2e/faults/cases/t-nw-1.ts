import { setTimeout as delay } from 'node:timers/promises'
import type { LinkPlace } from '../platform.ts'
import type { FaultCase, Trial } from '../trial.ts'

const PLACES: readonly LinkPlace[] = ['clients', 'gateway-nats', 'store-nats', 'store-postgres']
const SLOW = { latencyMs: 200, jitterMs: 100, resetChance: 0.01 }

export const slowAndBreaking: FaultCase = {
  id: 'T-NW-1',
  title: 'a link is slow (200 ± 100 ms each way) and breaks (1 % of the pieces), one kind of link after the other',
  pass: 'what is acknowledged meanwhile stands, and everyone is in step soon after',
  platform: { links: PLACES },
  async run(trial) {
    for (let round = 0; round < trial.times(2, 1); round++) for (const place of PLACES) await strike(trial, place)
  }
}

async function strike(trial: Trial, place: LinkPlace): Promise<void> {
  const links = trial.platform.links[place]
  const resets = () => links.reduce((sum, { counts }) => sum + counts.resets, 0)
  const before = { resets: resets(), acknowledged: trial.load.acknowledged }
  const holdMs = trial.times(12_000, 1_500)
  await trial.strike(`${place}: 200 ± 100 ms, 1 % resets`, {
    countFrom: 'up',
    async down() {
      for (const link of links) link.both(SLOW)
      await delay(holdMs)
      const rate = ((trial.load.acknowledged - before.acknowledged) / holdMs) * 1_000
      trial.measured.set(`acknowledged a second while ${place} is so`, `${Math.round(rate)}`)
    },
    async up() {
      for (const link of links) link.heal()
    }
  })
  const total = (trial.measured.get(`resets of ${place}`) ?? '0').split(' ')[0]
  trial.measured.set(`resets of ${place}`, `${Number(total) + resets() - before.resets}`)
}
