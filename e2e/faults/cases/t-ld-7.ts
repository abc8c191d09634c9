import { type Person, until } from '@parley/test-kit'
import { Reader } from '../client/reader.ts'
import { type Link, startLink } from '../proxy.ts'
import { quantile } from '../report.ts'
import type { FaultCase, Trial } from '../trial.ts'
import { Crowd, type CrowdClient } from '../visitors/crowd.ts'
import { endWriters, inviteVisitors, type Visitors } from '../visitors/visitors.ts'
import { MemoryWatch, mebibytes } from '../visitors/watch.ts'

const WRITERS = 4
const AT_ONCE = 4
const FIRST_PAGE_MS = 2_000
const COMPLETE_MS = 10_000
const MEMORY_MAX = 128 * 1024 * 1024

export const longAway: FaultCase = {
  id: 'T-LD-7',
  title: 'a client comes back after 10,000 changes, and one after 30 days',
  pass: 'the first page within 2 s (p99), complete within 10 s, edits and deletes included; memory of the gateway bounded',
  async run(trial) {
    const { platform } = trial
    const wanted = trial.times(10_000, 1_000)
    const visitors = await inviteVisitors(trial, WRITERS + AT_ONCE + 2)
    const writing = visitors.people.slice(0, WRITERS)
    const coming = visitors.people.slice(WRITERS, WRITERS + AT_ONCE)
    const conversation = await visitors.startConversation(visitors.people, 'Long')
    visitors.leave()
    const begunAt = new Map<string, Map<string, number>>()
    const [tenThousand, thirtyDays] = await Promise.all(
      visitors.people.slice(-2).map(who => startAway(trial, visitors, who, key => begunAt.get(key.slice(0, key.indexOf('-')))?.get(key)))
    )
    const crowd = new Crowd(trial, visitors, coming, 1, { gateway: () => 0, stays: true })
    await crowd.start()
    const since = crowd.clients[0]!.places.get(conversation)!.held
    await Promise.all(crowd.clients.map(client => client.leave()))
    for (const { link } of [tenThousand!, thirtyDays!]) goAway(link)

    const writers = await Promise.all(
      writing.map((who, n) => visitors.startWriter(who, { conversations: [conversation], gateway: n % 2, rate: 1_000, inFlightMax: 32 }))
    )
    for (const writer of writers) begunAt.set(writer.proc, writer.begunAt)
    const head = async () => {
      const rows = await platform.database.query<{ version: number }>('select version::int from messaging.conversations where id = $1', [
        conversation
      ])
      return rows[0]!.version
    }
    await until(() => writers.reduce((sum, { acknowledged }) => sum + acknowledged, 0) >= wanted, {
      timeoutMs: 120_000,
      what: `${wanted} changes are made`
    })
    await endWriters(writers)

    const memory = new MemoryWatch(platform.gateways[0]!)
    await memory.take()
    const [baseline] = memory.rss
    const firstPages: number[] = []
    const wholes: number[] = []
    const comeBackAll = async (times: number) => {
      for (let n = 0; n < times; n++) {
        await Promise.all(crowd.clients.map(client => comeBack(client, conversation, since, firstPages, wholes)))
      }
    }
    tenThousand!.link.isRefusing = false
    await until(() => tenThousand!.reader.isInStep, { timeoutMs: 60_000, what: 'who missed 10,000 changes is in step' })
    await comeBackAll(trial.times(20, 2))
    await age(trial, conversation)
    thirtyDays!.link.isRefusing = false
    await until(() => thirtyDays!.reader.isInStep, { timeoutMs: 60_000, what: 'who was away for 30 days is in step' })
    await comeBackAll(trial.times(20, 2))
    await memory.end()
    await crowd.start()
    await crowd.expectWhole()
    await crowd.stop()
    const last = await head()
    for (const { reader } of [tenThousand!, thirtyDays!]) {
      const isThere = () => reader.conversations.get(conversation)?.held === last
      await until(isThere, { timeoutMs: 10_000, what: 'who was away has everything' }).catch(() => {})
      // What it has then, whole or not, is looked at by the checker.
      reader.show()
      await reader.stop()
    }

    const [kinds] = await platform.database.query<{ edited: number; deleted: number; oldest_days: number }>(
      `select count(edited_at)::int as edited, count(deleted_at)::int as deleted, extract(day from now() - min(created_at))::int as oldest_days
       from messaging.messages where conversation_id = $1`,
      [conversation]
    )
    const growth = Math.max(...memory.rss) - baseline!
    trial.expect(kinds!.edited > 0 && kinds!.deleted > 0, 'nothing was edited, or nothing deleted')
    trial.expect(kinds!.oldest_days >= 30, `the oldest message is ${kinds!.oldest_days} days old`)
    const firstPage = quantile(firstPages, 0.99)
    trial.expectInTime(firstPage <= FIRST_PAGE_MS, `the first page came after ${Math.round(firstPage)} ms (p99)`)
    trial.expectInTime(quantile(wholes, 0.99) <= COMPLETE_MS, `all was there after ${Math.round(quantile(wholes, 0.99))} ms (p99)`)
    trial.expect(growth <= MEMORY_MAX, `${platform.gateways[0]!.name} grew by ${mebibytes(growth)} MiB`)
    trial.measured
      .set('changes missed', `${last - since}, with ${kinds!.edited} edits and ${kinds!.deleted} deletes`)
      .set('first page', `p50 ${Math.round(quantile(firstPages, 0.5))} ms, p99 ${Math.round(firstPage)} ms of ${firstPages.length}`)
      .set('complete', `p50 ${Math.round(quantile(wholes, 0.5))} ms, p99 ${Math.round(quantile(wholes, 0.99))} ms`)
      .set('memory of the gateway', `${mebibytes(growth)} MiB above before`)
  }
}

/** A reader as those of the load, whose history is checked as theirs is; its link decides whether it is away. */
async function startAway(
  trial: Trial,
  visitors: Visitors,
  who: Person,
  begunAt: (key: string) => number | undefined
): Promise<{ reader: Reader; link: Link }> {
  const { platform, random, history, world, scope } = trial
  const link = await startLink(scope, platform.urls[0]!)
  const proc = visitors.procOf(who)
  const token = platform.token(who)
  const reader = new Reader({
    proc,
    doors: { urls: [link.url], token: () => token },
    random: random.fork(proc),
    gateway: 0,
    history,
    cast: world.cast,
    org_id: who.org_id,
    begunAt
  })
  scope.teardown(() => reader.stop())
  reader.start()
  await until(() => reader.isInStep, { timeoutMs: 30_000, what: `${proc} is in step` })
  return { reader, link }
}

function goAway(link: Link): void {
  link.isRefusing = true
  link.reset()
}

async function comeBack(client: CrowdClient, conversation: string, since: number, firstPages: number[], wholes: number[]): Promise<void> {
  // As if it had never come back before.
  client.places.get(conversation)!.held = since
  client.start()
  await until(() => client.isInStep, { timeoutMs: 60_000, what: 'it is back and in step' })
  firstPages.push(client.at.told - client.at.ready)
  wholes.push(client.at.inStep - client.at.ready)
  const { held, live } = client.places.get(conversation)!
  if (held < live) client.faults.push(`${client.proc} was told that it is in step at ${held} of ${live}`)
  await client.leave()
}

/** All of a conversation happened 30 days ago. */
async function age({ platform }: Trial, conversation: string): Promise<void> {
  const ago = (columns: string[]) => columns.map(column => `${column} = ${column} - interval '30 days'`).join(', ')
  const { database } = platform
  await database.query(
    `update messaging.messages set ${ago(['created_at', 'updated_at', 'edited_at', 'deleted_at'])} where conversation_id = $1`,
    [conversation]
  )
  await database.query(`update messaging.participants set ${ago(['joined_at', 'last_read_at'])} where conversation_id = $1`, [conversation])
  await database.query(`update messaging.read_markers set ${ago(['read_at'])} where conversation_id = $1`, [conversation])
  await database.query(`update messaging.conversations set ${ago(['created_at', 'updated_at', 'last_message_at'])} where id = $1`, [
    conversation
  ])
}
