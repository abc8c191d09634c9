import { randomUUID } from 'node:crypto'
import { ChangeLog } from '@parley/contracts'
import { createConsumerTables, Database, Inbox, type Kysely } from '@parley/pg-kit'
import { createApp } from '@parley/service-kit'
import type { FreshDatabase, Scope } from '@parley/test-kit'
import type { FastifyInstance } from 'fastify'
import type { NatsConnection } from 'nats'
import { type ChangeEvent, type ConsumeOptions, type Consumer, type ConsumerInbox, consume, ensureStreams, natsKit } from '../src/index.ts'

export interface Tables {
  effects: { consumer: string; conversation_id: string; version: number; process: string }
}

export const SCHEMA = 'counting'

/** The tables of a small service that counts: a row for each effect, with nothing in them that would refuse a second one. */
export async function createCounting({ url, query }: FreshDatabase): Promise<void> {
  await query(`create schema ${SCHEMA}; grant usage on schema ${SCHEMA} to parley_store;
    create table ${SCHEMA}.effects (
      place bigint generated always as identity, consumer text, conversation_id uuid, version bigint, process text
    );
    grant insert, select on ${SCHEMA}.effects to parley_store`)
  const owner = openDatabase(url, 'parley')
  await owner.transaction(db => createConsumerTables(db, { schema: SCHEMA, role: 'parley_store' }))
  await owner.close()
}

export const openDatabase = (url: string, role = 'parley_store'): Database<Tables> =>
  new Database<Tables>({ url, max: 3, schema: SCHEMA, role, application: 'counter', onError: () => {} })

export interface CounterOptions {
  natsUrl: string
  databaseUrl: string
  name?: string
  /** Stands in for the effect, called before it. */
  before?: (fresh: readonly ChangeEvent[]) => Promise<void> | void
  /** Wraps the inbox, to die behind it or to leave it out. */
  wrap?: (inbox: Inbox<Tables>, db: Database<Tables>) => ConsumerInbox<Kysely<Tables>>
  consume?: Partial<ConsumeOptions<Kysely<Tables>>>
}

export interface Counter {
  app: FastifyInstance
  db: Database<Tables>
  consumer: Consumer<Kysely<Tables>>
  /** What /metrics says of this consumer; 0 where it says nothing. */
  metric: (name: string, label?: string) => Promise<number>
}

/** A service as they are built: it writes a row for each change that it is given. */
export async function startCounter({
  natsUrl,
  databaseUrl,
  name = 'counter',
  before = () => {},
  wrap = inbox => inbox,
  consume: options = {}
}: CounterOptions): Promise<Counter> {
  const app = createApp('counter', { level: process.env.COUNTER_LOG ?? 'silent', instance: '' })
  const db = openDatabase(databaseUrl)
  app.addHook('onClose', () => db.close())
  await app.register(natsKit, { url: natsUrl, service: 'counter' })
  await ensureStreams(app.bus.connection)
  const consumer = await consume(app, {
    inbox: wrap(new Inbox(db, name), db),
    apply: async (tx, fresh) => {
      await before(fresh)
      const rows = fresh.map(({ conversation_id, version }) => ({ consumer: name, conversation_id, version, process: `${process.pid}` }))
      await tx.insertInto('effects').values(rows).execute()
    },
    ackWaitMs: 1_500,
    firstDelayMs: 100,
    maxFailures: 4,
    ...options
  })
  await app.ready()
  const metric = async (metricName: string, label = '') => {
    const lines = (await app.metrics.registry.metrics()).split('\n')
    const found = lines.find(
      text => text.startsWith(`parley_${metricName}{`) && text.includes(`consumer="${name}"`) && text.includes(label)
    )
    return Number(found?.slice(found.lastIndexOf(' ') + 1) ?? 0)
  }
  return { app, db, consumer, metric }
}

export async function runCounter(t: Scope, options: CounterOptions): Promise<Counter> {
  const counter = await startCounter(options)
  t.teardown(() => counter.app.close())
  return counter
}

/** What the effects came to: how often each version was applied, and in which order. */
export async function effectsOf({ query }: FreshDatabase, consumer = 'counter') {
  const rows = await query<{ conversation_id: string; version: string; process: string }>(
    `select conversation_id, version, process from ${SCHEMA}.effects where consumer = $1 order by place`,
    [consumer]
  )
  const counts = new Map<string, number>()
  const orders = new Map<string, number[]>()
  for (const { conversation_id, version } of rows) {
    const key = `${conversation_id}:${version}`
    counts.set(key, (counts.get(key) ?? 0) + 1)
    orders.set(conversation_id, [...(orders.get(conversation_id) ?? []), Number(version)])
  }
  return {
    total: rows.length,
    distinct: counts.size,
    doubled: [...counts].filter(([, count]) => count > 1).map(([key]) => key),
    orders,
    /** Conversations in which a version came after a later one. */
    disordered: [...orders]
      .filter(([, versions]) => versions.some((version, at) => at > 0 && version < versions[at - 1]!))
      .map(([id]) => id),
    processes: new Set(rows.map(row => row.process)).size
  }
}

const NIL = '00000000-0000-0000-0000-000000000001'
const NOW = '2026-01-20T10:30:00.000Z'

/** A change as message-store writes it. */
export function line(conversation_id: string, version: number, content = 'hello'): string {
  const sender = { id: NIL, username: 'ada', display_name: 'Ada', avatar_url: null }
  const message = {
    ...{ id: randomUUID(), conversation_id, seq: version, version, sender_id: NIL, sender, content, content_type: 'text' },
    ...{ attachments: [], reply_to_id: null, reply_count: 0, mentions: [], reactions: [], metadata: {}, client_message_id: null },
    ...{ is_edited: false, edited_at: null, is_deleted: false, deleted_at: null, is_pinned: false, created_at: NOW, updated_at: NOW }
  }
  return JSON.stringify({ type: 'new_message', conversation_id, version, message })
}

/** Puts payloads into the stream, one after the other, each known to be kept. */
export async function publish(connection: NatsConnection, ...payloads: (string | Uint8Array)[]): Promise<void> {
  const js = connection.jetstream()
  for (const payload of payloads) await js.publish(ChangeLog.address, payload)
}
