import { setTimeout as delay } from 'node:timers/promises'
import { until } from '@parley/test-kit'
import type { Toxics } from '../proxy.ts'
import { quantile } from '../report.ts'
import type { FaultCase, Trial } from '../trial.ts'

/** Pings go every 5 s, and the third one finds two unanswered. */
const DETECTED_MS = 15_000
/** A machine with more to do than it can. */
const GRACE_MS = 3_000
const WAYS: readonly [name: string, toxics: { up: Toxics; down: Toxics }][] = [
  ['silent both ways', { up: { isSilent: true }, down: { isSilent: true } }],
  ['hears nothing', { up: {}, down: { isSilent: true } }],
  ['is not heard', { up: { isSilent: true }, down: {} }]
]

export const silentBus: FaultCase = {
  id: 'T-NW-2',
  title: 'the link between a gateway and NATS is silent for 30 s: no byte, no end; both ways or one',
  pass: `noticed within ${DETECTED_MS / 1_000} s by pings; what is asked meanwhile is refused, retryable; all holes are filled after it`,
  platform: { gateways: 3, links: ['gateway-nats'] },
  async run(trial) {
    const noticed: number[] = []
    const from = trial.history.lines.length
    // Two of three at once, each in its own way: the third one carries on.
    for (let round = 0; round < trial.times(2, 1); round++) {
      const struck = [0, 1].map(n => ({ gateway: (round + n) % 3, way: WAYS[(round + n) % WAYS.length]! }))
      noticed.push(...(await silence(trial, struck)))
    }
    const max = Math.max(...noticed)
    trial.measured.set('noticed after', `${seconds(quantile(noticed, 0.5))} (p50), ${seconds(max)} (max)`)
    trial.expect(max <= DETECTED_MS + GRACE_MS, `the silence was noticed after ${seconds(max)}`)
    const lines = trial.history.lines.slice(from)
    const count = (code: string) => lines.filter(line => line.type === 'info' && line.code === code).length
    trial.measured.set('refused as unavailable, retryable', `${count('unavailable')}`)
    trial.measured.set('not answered at all', `${count('no answer')}`)
    trial.expect(count('unavailable') > 0, 'nobody was refused, so nothing was silent')
  }
}

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`

async function silence(trial: Trial, struck: { gateway: number; way: (typeof WAYS)[number] }[]): Promise<number[]> {
  let noticed: number[] = []
  const what = struck.map(({ gateway, way: [name] }) => `gateway-${gateway + 1} ${name}`).join(', ')
  await trial.strike(what, {
    countFrom: 'up',
    async down() {
      const since = Date.now()
      for (const { gateway, way } of struck) {
        const link = trial.platform.links['gateway-nats'][gateway]!
        link.toxics.up = { ...way[1].up }
        link.toxics.down = { ...way[1].down }
      }
      noticed = await Promise.all(struck.map(({ gateway }) => untilNoticed(trial, gateway, since)))
      await delay(Math.max(0, trial.times(30_000, 0) - (Date.now() - since)) + 2_000)
    },
    async up() {
      for (const { gateway } of struck) trial.platform.links['gateway-nats'][gateway]!.heal()
    }
  })
  return noticed
}

/** When the gateway itself says that the bus is away, counted from a moment. */
async function untilNoticed(trial: Trial, gateway: number, since: number): Promise<number> {
  const process = trial.platform.gateways[gateway]!
  return until(
    async () => {
      for (const line of (await process.log()).split('\n').reverse()) {
        if (!line.includes('"nats disconnected"')) continue
        const { time } = JSON.parse(line) as { time: number }
        return time >= since ? Math.max(1, time - since) : undefined
      }
    },
    { timeoutMs: DETECTED_MS + 15_000, what: `${process.name} notices the silence` }
  )
}
