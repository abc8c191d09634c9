import { parseArgs } from 'node:util'
import { ChangeLog } from '@parley/contracts'
import { ensureStreams, natsKit } from '@parley/nats-kit'
import { Database } from '@parley/pg-kit'
import { COMMON, createApp, loadConfig } from '@parley/service-kit'
import { Type } from '@sinclair/typebox'
import { Config } from './config.ts'
import type { Tables } from './db.ts'
import { aboutHowMany } from './queries/changes-since.ts'
import { type Progress, republish } from './send/republish.ts'

// Puts events into the stream again from the tables, after the stream was lost. Runs beside the services, and ends.
const USAGE = `republish [--since TIME] [--conversation ID] [--after ID] [--rate CHANGES]
  --since TIME         only what changed since then, such as 2026-01-20T10:30:00Z; take a few minutes more, clocks differ
  --conversation ID    of one conversation alone
  --after ID           go on after this conversation, where an earlier run ended
  --rate CHANGES       a second, at most (2000)
`
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i
const PROGRESS_EVERY_MS = 2_000
const PUBLISH_TIMEOUT_MS = 10_000

const say = (text: string) => process.stdout.write(`${text}\n`)

function readArgs(): { since?: string | undefined; conversation_id?: string | undefined; after?: string | undefined; rate: number } {
  const option = { type: 'string' } as const
  const { values } = parseArgs({ options: { since: option, conversation: option, after: option, rate: option, help: { type: 'boolean' } } })
  if (values.help) {
    process.stdout.write(USAGE)
    process.exit(0)
  }
  const { since, conversation, after, rate = '2000' } = values
  // A date without a zone would be of the zone of whoever runs it.
  if (since !== undefined && (!/(Z|[+-]\d\d:\d\d)$/.test(since) || Number.isNaN(Date.parse(since))))
    throw new Error(`--since takes a time with its zone, such as 2026-01-20T10:30:00Z, not ${since}`)
  for (const [name, id] of Object.entries({ conversation, after }))
    if (id !== undefined && !UUID.test(id)) throw new Error(`--${name} takes the id of a conversation, not ${id}`)
  if (!/^[1-9]\d{0,6}$/.test(rate)) throw new Error(`--rate takes a number from 1 to 9999999, not ${rate}`)
  return {
    since: since && new Date(since).toISOString(),
    conversation_id: conversation?.toLowerCase(),
    after: after?.toLowerCase(),
    rate: Number(rate)
  }
}

const stopping = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopping.abort())

let done: Progress = { conversations: 0, changes: 0, conversation_id: undefined }
const goOn = () => (done.conversation_id === undefined ? 'nothing is done yet: run it again' : `go on with --after ${done.conversation_id}`)
const told = () => `${done.changes} changes of ${done.conversations} conversations`

let args: ReturnType<typeof readArgs>
try {
  args = readArgs()
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n\n${USAGE}`)
  process.exit(2)
}
const app = createApp('message-store', { level: 'error', instance: 'republish' })
try {
  const config = loadConfig(Type.Object({ NATS_URL: COMMON.NATS_URL, DATABASE_URL: Config.properties.DATABASE_URL }))
  const database = new Database<Tables>({
    url: config.DATABASE_URL,
    max: 1,
    schema: 'messaging',
    role: 'parley_store',
    application: 'republish',
    onError: () => {}
  })
  app.addHook('onClose', () => database.close())
  await app.register(natsKit, { url: config.NATS_URL, service: 'message-store', instance: 'republish' })
  const { connection } = app.bus
  await ensureStreams(connection)
  const stream = connection.jetstream()
  const total = await database.query(aboutHowMany)
  let saidAt = Date.now()
  const { rate, ...which } = args
  done = await republish(database, async lines => void (await stream.publish(ChangeLog.address, lines, { timeout: PUBLISH_TIMEOUT_MS })), {
    ...which,
    changesPerSecond: rate,
    signal: stopping.signal,
    onProgress(progress) {
      done = progress
      if (Date.now() - saidAt < PROGRESS_EVERY_MS) return
      saidAt = Date.now()
      say(`${told()}${which.conversation_id === undefined ? ` (of about ${total})` : ''}; after a stop, ${goOn()}`)
    }
  })
  await app.close()
} catch (error) {
  process.stderr.write(`not all could be published again: ${(error as Error).message}\n`)
  say(`${told()} are in the stream; ${goOn()}`)
  process.exit(1)
}
say(stopping.signal.aborted ? `stopped after ${told()}; ${goOn()}` : `published again: ${told()}`)
process.exit(stopping.signal.aborted ? 130 : 0)
