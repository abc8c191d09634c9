import { randomUUID } from 'node:crypto'
import { ensureStreams, natsKit, unsafeJetStream } from '@parley/nats-kit'
import { Database, unsafePostgres } from '@parley/pg-kit'
import { createApp, guardDurability } from '@parley/service-kit'
import type { FastifyInstance } from 'fastify'
import type { Config } from './config.ts'
import type { Tables } from './db.ts'
import { blocks } from './endpoints/blocks.ts'
import { conversationSettings } from './endpoints/conversation-settings.ts'
import { conversations } from './endpoints/conversations.ts'
import { forwardMessage } from './endpoints/forward-message.ts'
import { hostDirectory } from './endpoints/host-directory.ts'
import { jobs as jobEndpoints } from './endpoints/jobs.ts'
import { listMessages } from './endpoints/list-messages.ts'
import { messages } from './endpoints/messages.ts'
import { participants } from './endpoints/participants.ts'
import { pins } from './endpoints/pins.ts'
import { projects } from './endpoints/projects.ts'
import { reactions } from './endpoints/reactions.ts'
import { read } from './endpoints/read.ts'
import { scheduled } from './endpoints/scheduled.ts'
import { search } from './endpoints/search.ts'
import { sendMessages } from './endpoints/send-messages.ts'
import { sync } from './endpoints/sync.ts'
import { users } from './endpoints/users.ts'
import { Jobs } from './jobs/jobs.ts'
import { analyzeMessages } from './queries/analyze.ts'
import { deleteBatches, outboxDepth } from './queries/outbox.ts'
import { Indexer } from './search/indexer.ts'
import { Batch } from './send/batch.ts'
import { Publisher } from './send/publish.ts'
import { Scheduler } from './send/scheduler.ts'
import { Sweeper } from './send/sweep.ts'
import type { Store } from './store.ts'

/** After this many messages a table that was empty at its last ANALYZE has plans that cost five times the database. */
const ANALYZE_AFTER = 1_000

export async function buildApp(config: Config): Promise<FastifyInstance> {
  const app = createApp('message-store', { level: config.LOG_LEVEL, instance: config.PARLEY_INSTANCE })
  const { log, health, metrics } = app

  // Closed in reverse: endpoints answer what they have in hand, what is committed is published, then PostgreSQL.
  const pool = {
    url: config.DATABASE_URL,
    schema: 'messaging',
    application: config.PARLEY_INSTANCE || 'message-store',
    onError: (err: Error) => log.warn({ err }, 'a database connection was lost')
  }
  const people = new Database<Tables>({ ...pool, role: 'parley_app', max: config.DATABASE_POOL_MAX })
  const store = new Database<Tables>({ ...pool, role: 'parley_store', max: 4 })
  const background = new Database<Tables>({ ...pool, role: 'parley_store', max: 4 })
  app.addHook('onClose', async () => {
    await Promise.all([people.close(), store.close(), background.close()])
  })
  await app.register(natsKit, {
    url: config.NATS_URL,
    service: 'message-store',
    instance: config.PARLEY_INSTANCE || `message-store-${randomUUID()}`
  })
  const { bus } = app
  await guardDurability(app, {
    ...config,
    components: { postgresql: () => unsafePostgres(store), jetstream: () => unsafeJetStream(bus, config.NATS_MONITOR_URL) }
  })

  const sizes = metrics.histogram('batch_size', 'Messages stored in one transaction.', [1, 2, 5, 10, 20, 50, 100, 200, 500])
  const swept = metrics.counter('outbox_swept_total', 'Batches that another store had left unpublished.')
  let stored = 0
  const publisher = new Publisher(bus, batches => store.query(db => deleteBatches(db, batches)))
  const batch = new Batch(store, publisher, size => {
    sizes.observe(size)
    if (stored < ANALYZE_AFTER && stored + size >= ANALYZE_AFTER)
      void store.query(analyzeMessages).catch(err => log.warn({ err }, 'analyze failed'))
    stored += size
  })
  const sweeper = new Sweeper(
    store,
    publisher,
    log,
    () => ensureStreams(bus.connection),
    count => swept.inc(count)
  )
  const sent = metrics.counter('scheduled_sent_total', 'Messages that were sent at a time that was set for them.')
  const refused = metrics.counter('scheduled_refused_total', 'Scheduled messages that might not be sent when they were due.')
  const scheduler = new Scheduler(store, publisher, log, counts => {
    sent.inc(counts.sent)
    refused.inc(counts.refused)
  })
  const indexed = metrics.counter('search_indexed_total', 'Messages that went into the search index.')
  const indexer = new Indexer(store, log, count => indexed.inc(count))
  metrics.gauge('outbox_unacknowledged', 'Batches that are published and not yet acknowledged.', () => publisher.unacknowledged)
  metrics.gauge(
    'outbox_age_seconds',
    'Age of the oldest batch that is committed and not known to be published.',
    async () => (await store.query(outboxDepth)).age_seconds
  )
  health.add('nats', { needed: true, check: () => bus.isConnected })
  health.add('postgres', { needed: true, check: () => store.query(async db => (await outboxDepth(db)).rows >= 0) })

  await ensureStreams(bus.connection)
  bus.onReconnect(() => void ensureStreams(bus.connection).catch(err => log.error({ err }, 'the streams could not be made')))

  const ended = metrics.counter('jobs_total', 'Jobs that have ended, by kind and by how.', ['kind', 'status'])
  const durations = metrics.histogram(
    'job_duration_seconds',
    'From asking for a job to its end.',
    [1, 5, 15, 60, 300, 1_800, 7_200, 43_200]
  )
  const jobs = new Jobs({ bus, store, publisher, log }, background, {
    onFinished(kind, status, seconds) {
      ended.inc({ kind, status })
      durations.observe(seconds)
    }
  })
  const endpoints: Store = { bus, people, store, batch, publisher, log, jobs, editWindowSeconds: config.EDIT_WINDOW_SECONDS }
  sendMessages(endpoints)
  listMessages(endpoints)
  messages(endpoints)
  scheduled(endpoints)
  forwardMessage(endpoints)
  reactions(endpoints)
  pins(endpoints)
  conversations(endpoints)
  conversationSettings(endpoints)
  participants(endpoints)
  read(endpoints)
  users(endpoints)
  hostDirectory(endpoints)
  projects(endpoints)
  blocks(endpoints)
  sync(endpoints)
  search(endpoints)
  jobEndpoints(endpoints)
  await bus.flush()
  sweeper.start()
  scheduler.start()
  if (config.SEARCH_INDEX === '1') indexer.start()
  jobs.start()

  app.addHook('onClose', async () => {
    await Promise.all([sweeper.stop(), scheduler.stop(), indexer.stop(), jobs.stop()])
    await bus.finish()
    await publisher.close()
  })
  return app
}
