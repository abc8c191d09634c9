import { GetJob, type Job, ReadExport } from '@parley/contracts'
import { type Person, until } from '@parley/test-kit'
import type { World } from './setup.ts'

/** Waits until a job has ended, and gives it as an admin is told of it. */
export async function ended({ ask }: World, admin: Person, { id }: Pick<Job, 'id'>, timeoutMs = 60_000): Promise<Job> {
  let job: Job | undefined
  await until(
    async () => {
      job = await ask(GetJob, admin, { job_id: id })
      return job.finished_at !== null
    },
    { timeoutMs, what: 'the job has ended' }
  )
  return job!
}

/** Makes a person an admin, as their token says. */
export const asAdmin = (person: Person): Person => ({ ...person, role: 'admin' })

/** All lines of an export. */
export async function readAll({ ask }: World, admin: Person, { id }: Pick<Job, 'id'>): Promise<Record<string, unknown>[]> {
  const lines: string[] = []
  for (let page = 1; ; page++) {
    const { data, pages } = await ask(ReadExport, admin, { job_id: id, page })
    lines.push(...data.split('\n').filter(line => line !== ''))
    if (page >= pages) return lines.map(line => JSON.parse(line))
  }
}

/** Has messages of a conversation, up to a seq, be as old as this. */
export const age = ({ database }: World, conversation_id: string, until_seq: number, days: number) =>
  database.query(
    `update messaging.messages set created_at = created_at - $3 * interval '1 day', updated_at = updated_at - $3 * interval '1 day'
     where conversation_id = $1 and seq <= $2`,
    [conversation_id, until_seq, days]
  )

export interface StoredMessage {
  seq: number
  version: number
  sender_id: string
  content: string
  metadata: unknown
  client_message_id: string | null
  mentions: string[] | null
  deleted_at: string | null
  purged_at: string | null
}

export const storedMessages = ({ database }: World, conversation_id: string): Promise<StoredMessage[]> =>
  database.query<StoredMessage & Record<string, unknown>>(
    `select seq::int4, version::int4, sender_id, content, metadata, client_message_id, mentions, deleted_at, purged_at
     from messaging.messages where conversation_id = $1 order by seq`,
    [conversation_id]
  )

/** Every table of ours that has a text in any of its columns. */
export async function tablesWith({ database }: World, text: string): Promise<string[]> {
  const tables = await database.query<{ name: string }>(
    `select format('%I.%I', table_schema, table_name) as name from information_schema.tables
     where table_schema in ('messaging', 'queue') and table_type = 'BASE TABLE' order by 1`
  )
  const found: string[] = []
  for (const { name } of tables) {
    const rows = await database.query(`select 1 from ${name} x where strpos(lower(x::text), lower($1)) > 0 limit 1`, [text])
    if (rows.length > 0) found.push(name)
  }
  return found
}
