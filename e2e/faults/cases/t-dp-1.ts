import type { TestProcess } from '@parley/test-kit'
import type { FaultCase, Trial } from '../trial.ts'
import { Crowd, type CrowdClient } from '../visitors/crowd.ts'
import { failingAnswers } from '../visitors/refusals.ts'
import { inviteVisitors } from '../visitors/visitors.ts'

const SOCKETS_OF_ONE = 4
const RESTART = 1012
/** How many times an even share of them may come back within one second. */
const UNEVEN_MAX = 2
const BACK_MS = 30_000

export const rollingRestart: FaultCase = {
  id: 'T-DP-1',
  title: 'each process is restarted in turn (SIGTERM)',
  pass: 'each ends by itself with code 0; no 5xx once a client has tried again; clients come back spread over the time they were told',
  async run(trial) {
    const { gateways, stores } = trial.platform
    const visitors = await inviteVisitors(trial, trial.times(100, 20))
    await visitors.startConversation(visitors.people, 'Spread')
    visitors.leave()
    const crowd = new Crowd(trial, visitors, visitors.people, SOCKETS_OF_ONE, { gateway: n => n })
    await crowd.start()
    const begin = trial.history.lines.length
    const shares: number[] = []
    for (let round = 0; round < trial.times(4, 1); round++) {
      for (const [n, gateway] of (trial.isShort ? gateways.slice(0, 1) : gateways).entries()) {
        const mine = crowd.clients.filter(client => client.gateway % gateways.length === n)
        const tellings = mine.map(({ told }) => told.length)
        await restart(trial, gateway, () => crowd.inStep(BACK_MS))
        shares.push(checkSpread(trial, gateway, mine, tellings))
      }
      for (const store of trial.isShort ? stores.slice(0, 1) : stores) await restart(trial, store)
    }
    await crowd.expectWhole()
    await crowd.stop()
    const { first, afterRetry } = failingAnswers(trial.history.lines.slice(begin))
    const example = afterRetry[0] && JSON.stringify(afterRetry[0])
    trial.expect(afterRetry.length === 0, `${afterRetry.length} times a second try was answered by a 5xx, as ${example}`)
    trial.measured
      .set('5xx at first · after a retry', `${first} · ${afterRetry.length}`)
      .set('most that came back within a second', shares.map(share => `${Math.round(share * 100)} %`).join(', '))
  }
}

async function restart(trial: Trial, process: TestProcess, isBack: () => Promise<void> = async () => {}): Promise<void> {
  await trial.strike(`restart ${process.name}`, {
    async down() {
      const { code, signal } = await process.stop()
      trial.expect(code === 0, `${process.name} ended with ${signal ?? code} after SIGTERM`)
    },
    up: () => process.start()
  })
  await isBack()
  await trial.pause()
}

/** Each was told a delay of its own, was closed for the restart, and came back when it had been told to. */
function checkSpread(trial: Trial, { name }: TestProcess, clients: readonly CrowdClient[], tellings: readonly number[]): number {
  const told = clients.filter(({ told }, n) => told.length === tellings[n]! + 1)
  trial.expect(
    told.length === clients.length,
    `${clients.length - told.length} of ${clients.length} sockets of ${name} were not told to reconnect`
  )
  for (const { ready, told, closes, proc } of clients) {
    const { delayMs } = told.at(-1) ?? { delayMs: 0 }
    trial.expect(delayMs >= 0 && delayMs <= ready!.reconnect_max_jitter_ms, `${proc} was told to wait ${delayMs} ms`)
    trial.expect(closes.at(-1) === RESTART, `${proc} was closed with ${closes.at(-1)}`)
  }
  const seconds = new Map<number, number>()
  for (const { at } of clients) {
    const second = Math.floor(at.begun / 1_000)
    seconds.set(second, (seconds.get(second) ?? 0) + 1)
  }
  const share = Math.max(...seconds.values()) / clients.length
  const even = 1_000 / (clients[0]!.ready!.reconnect_max_jitter_ms as number)
  trial.expect(share <= UNEVEN_MAX * even, `${Math.round(share * 100)} % of the sockets of ${name} came back within one second`)
  return share
}
