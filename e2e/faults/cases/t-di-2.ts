import { type TestNats, type TestProcess, until } from '@parley/test-kit'
import { readFromZero, readTables } from '../../src/change-log.ts'
import { SmallDisk } from '../disk.ts'
import type { FaultPlatform } from '../platform.ts'
import type { FaultCase } from '../trial.ts'

export const fillStreamDisk: FaultCase = {
  id: 'T-DI-2',
  title: 'the disk of JetStream is full',
  pass: 'sends are acknowledged and told all the same, the outbox grows and the metric says so; it drains once there is space',
  async run(trial) {
    const { platform, load } = trial
    const nats = platform.nats as TestNats
    const { store_dir } = (await jsz(nats)).config
    const disk = await SmallDisk.mount(trial.scope, 64)
    await nats.stop()
    await disk.take(store_dir)
    await nats.start()
    await load.more(50)

    let most = 0
    for (let n = 0; n < trial.times(5, 1); n++) {
      await trial.strike('disk of the streams full', {
        async down() {
          await disk.fill()
          await until(async () => (await outbox(platform)) >= 20, { timeoutMs: 20_000, what: 'the outbox grows' })
          await load.more(100)
          await until(async () => (await metric(platform.stores[0]!, 'parley_outbox_age_seconds')) > 2, { what: 'the metric says it' })
          most = Math.max(most, await outbox(platform))
        },
        async up() {
          await disk.free()
          // A server that ran out of space has put JetStream away, and says that it is not well: what supervises it starts it anew.
          if (!(await isWell(nats))) {
            await nats.stop()
            await nats.start()
          }
          await until(async () => (await outbox(platform)) < 20, { timeoutMs: 25_000, what: 'the outbox drains' })
        }
      })
      await trial.pause()
    }
    trial.measured.set('batches in the outbox, at most', `${most}`)
    const wanted = await readTables(platform.database)
    await until(
      async () => {
        const held = await readFromZero(nats)
        return [...wanted].every(([id, { version }]) => (held.get(id)?.version ?? 0) >= version)
      },
      { timeoutMs: 20_000, what: 'the stream has every message that was stored' }
    )
    await nats.stop()
    await disk.giveBack(store_dir)
    await nats.start()
    await load.more(50)
  }
}

const jsz = async ({ monitorUrl }: TestNats): Promise<{ config: { store_dir: string } }> =>
  (await fetch(`${monitorUrl}/jsz`)).json() as never

const isWell = async ({ monitorUrl }: TestNats): Promise<boolean> => (await fetch(`${monitorUrl}/healthz`)).ok

async function outbox({ database }: FaultPlatform): Promise<number> {
  const [row] = await database.query<{ count: number }>('select count(*)::int as count from messaging.outbox_batches')
  return row!.count
}

async function metric({ opsUrl }: TestProcess, name: string): Promise<number> {
  const text = await (await fetch(`${opsUrl}/metrics`)).text()
  return Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'm').exec(text)?.[1])
}
