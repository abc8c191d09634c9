import { spawn } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { FreshDatabase, TestNats } from '@parley/test-kit'
import { connect } from 'nats'

const REPUBLISH = fileURLToPath(new URL('../../services/message-store/src/republish.ts', import.meta.url))
const STREAM = 'EVT'

/** What somebody holds of a message who reads the log from zero and goes by version. */
export interface Held {
  conversation_id: string
  version: number
  seq: number
  content: string
}

/** Reads the stream from its beginning, and keeps of each message what its newest version says. */
export async function readFromZero(nats: TestNats): Promise<Map<string, Held>> {
  const connection = await connect({ servers: nats.url })
  try {
    const held = new Map<string, Held>()
    const stream = await connection.jetstream().streams.get(STREAM)
    const { last_seq } = (await stream.info()).state
    if (last_seq === 0) return held
    const consumer = await stream.getConsumer()
    for await (const message of await consumer.consume({ max_messages: 100 })) {
      for (const line of message.string().split('\n')) {
        const { conversation_id, version, message: said } = JSON.parse(line)
        if (said && (held.get(said.id)?.version ?? 0) < version)
          held.set(said.id, { conversation_id, version, seq: said.seq, content: said.content })
      }
      if (message.seq >= last_seq) return held
    }
    return held
  } finally {
    await connection.close()
  }
}

/** What the tables hold, in the same shape. */
export async function readTables(database: FreshDatabase): Promise<Map<string, Held>> {
  const rows = await database.query<Held & { id: string }>(
    `select id, conversation_id, version::int as version, seq::int as seq, case when deleted_at is null then content else '' end as content
     from messaging.messages`
  )
  return new Map(rows.map(({ id, ...held }) => [id, held]))
}

/** Stops NATS, removes all that it has stored, and starts it again, as after the loss of its disk. */
export async function loseStreams(nats: TestNats): Promise<void> {
  const { config } = (await (await fetch(`${nats.monitorUrl}/jsz`)).json()) as { config: { store_dir: string } }
  await nats.stop()
  await rm(config.store_dir, { recursive: true })
  await nats.start()
}

/** Runs the operator's command, and gives what it said. */
export async function runRepublish({ database, nats }: { database: FreshDatabase; nats: TestNats }, ...args: string[]): Promise<string> {
  const child = spawn(process.execPath, [REPUBLISH, ...args], {
    env: { PATH: process.env.PATH, DATABASE_URL: database.url, NATS_URL: nats.url },
    stdio: ['ignore', 'pipe', 'pipe']
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', text => {
      said += text
    })
  }
  const code = await new Promise(resolve => child.once('close', resolve))
  if (code !== 0) throw new Error(`republish ended with ${code}:\n${said}`)
  return said
}
