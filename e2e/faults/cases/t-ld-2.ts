import type { Person } from '@parley/test-kit'
import { until } from '@parley/test-kit'
import { quantile } from '../report.ts'
import type { FaultCase, Trial } from '../trial.ts'
import { Crowd, type CrowdClient } from '../visitors/crowd.ts'
import { endWriters, inviteVisitors } from '../visitors/visitors.ts'

const RECONNECTS = 20
const FEW = 5
const RESUMED_MS = 5_000
/** Cursors in one resume, and heads in one question. */
const PAGE = 1_000
/** What stores look for by themselves a few times a second, counted with it; what grew with conversations would be hundreds. */
const NOISE = 2

export const subscribeStorm: FaultCase = {
  id: 'T-LD-2',
  title: 'somebody in 2,000 conversations reconnects 20 times',
  pass: 'each resume is done within 5 s; its statements do not grow with the number of conversations',
  platform: { postgres: { shared_preload_libraries: 'pg_stat_statements' } },
  async run(trial) {
    const visitors = await inviteVisitors(trial, 3)
    const [many, few, friend] = visitors.people as [Person, Person, Person]
    const conversations = await visitors.startConversations(trial.times(2_000, 200), () => [friend, many])
    await visitors.startConversations(FEW, () => [friend, few])
    visitors.leave()

    const crowd = new Crowd(trial, visitors, [many, few], 1, { gateway: () => 0 })
    await crowd.start()
    const [busy, idle] = crowd.clients as [CrowdClient, CrowdClient]
    const writer = await visitors.startWriter(friend, { conversations, gateway: 1, rate: 40 })
    const times: number[] = []
    let told = 0
    for (let n = 0; n < RECONNECTS; n++) {
      const sent = writer.acknowledged
      await busy.leave()
      await until(() => writer.acknowledged >= sent + 3, { what: 'something is missed' })
      times.push(await comeBack(busy))
      if (busy.at.told > 0) told++
    }
    await endWriters([writer])
    await crowd.expectWhole()
    trial.expect(told > 0, 'no resume had anything to bring')
    trial.expectInTime(Math.max(...times) <= RESUMED_MS, `a resume took ${Math.round(Math.max(...times))} ms`)

    // From here on nobody does anything else, so what the database counts is theirs.
    await trial.load.finish()
    await trial.platform.database.query('create extension pg_stat_statements')
    const ofFew = await statementsOf(trial, idle)
    const ofMany = await statementsOf(trial, busy)
    const pages = Math.ceil(conversations.length / PAGE)
    trial.expect(ofFew > 0, 'no statement of a resume was counted')
    trial.expect(
      ofMany <= ofFew * pages + NOISE,
      `a resume takes ${ofMany} statements with ${conversations.length} conversations, ${ofFew} with ${FEW}, and there are ${pages} pages`
    )
    trial.measured
      .set('resume', `p50 ${Math.round(quantile(times, 0.5))} ms, max ${Math.round(Math.max(...times))} ms`)
      .set('statements of a resume', `${ofMany} with ${conversations.length} conversations, ${ofFew} with ${FEW}`)
    await crowd.stop()
  }
}

/** How long it took from the first byte until everything missed was there. */
async function comeBack(client: CrowdClient): Promise<number> {
  client.gateway++
  client.start()
  await until(() => client.isInStep, { timeoutMs: 30_000, what: 'it is back and in step' })
  return client.at.inStep - client.at.begun
}

/** Statements that a resume of one client takes; what a store does by itself looks at other tables, or comes rarely. */
async function statementsOf({ platform }: Trial, client: CrowdClient): Promise<number> {
  const count = async () => {
    const [row] = await platform.database.query<{ calls: number }>(
      `select coalesce(sum(calls), 0)::int as calls from pg_stat_statements
       where query ~* '^\\s*(select|with|insert|update|delete)' and query !~* 'outbox|search|scheduled|jobs|queue|pg_stat|pg_settings|current_setting'`
    )
    return row!.calls
  }
  const before = await count()
  for (let n = 0; n < RECONNECTS; n++) {
    await client.leave()
    await comeBack(client)
  }
  return Math.round(((await count()) - before) / RECONNECTS)
}
