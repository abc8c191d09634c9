import { setTimeout as delay } from 'node:timers/promises'
import type pg from 'pg'

/** A stream that flushes every message may have seconds of work left after a full load. */
const OUTBOX_EMPTY_WITHIN_MS = 20_000

interface Kept {
  id: string
  last_seq: number
  version: number
  stored: number
  first_seq: number
  highest_seq: number
  highest_version: number
  least_shift: number
  greatest_shift: number
}

/**
 * Holds the database against what the load generator saw: in every conversation as many messages as were acknowledged,
 * seq 1, 2, 3 … and version without holes and equal to the counters, and nothing left in the outbox.
 *
 * @param accepted acknowledged messages by conversation
 * @returns how much was looked at
 * @throws Error with every difference
 */
export async function verifyDatabase(database: pg.Client, accepted: ReadonlyMap<string, number>): Promise<string> {
  await database.query('set search_path = messaging')
  // Numbers: counts of a run are far below 2^53. The key (conversation_id, seq) is unique, so first, highest and count say all.
  const { rows } = await database.query<Kept>(`
    select c.id, c.last_seq::float8, c.version::float8, count(m.seq)::float8 as stored,
      coalesce(min(m.seq), 1)::float8 as first_seq, coalesce(max(m.seq), 0)::float8 as highest_seq,
      coalesce(max(m.version), c.version)::float8 as highest_version,
      coalesce(min(m.version - m.seq), 0)::float8 as least_shift, coalesce(max(m.version - m.seq), 0)::float8 as greatest_shift
    from conversations c left join messages m on m.conversation_id = c.id group by c.id`)
  const faults: string[] = []
  let messages = 0
  for (const row of rows) {
    const expected = accepted.get(row.id) ?? 0
    messages += row.stored
    if (row.stored !== expected) faults.push(`${row.id}: ${expected} messages were acknowledged, ${row.stored} are stored`)
    if (row.first_seq !== 1 || row.highest_seq !== row.stored) faults.push(`${row.id}: seq has holes`)
    if (row.last_seq !== row.highest_seq) faults.push(`${row.id}: last_seq is ${row.last_seq}, the highest seq ${row.highest_seq}`)
    // Nothing but messages changes a conversation of the bench, so version keeps its distance to seq.
    if (row.least_shift !== row.greatest_shift) faults.push(`${row.id}: version has holes`)
    if (row.version !== row.highest_version) faults.push(`${row.id}: version is ${row.version}, the highest ${row.highest_version}`)
  }
  for (const id of accepted.keys()) if (!rows.some(row => row.id === id)) faults.push(`${id}: the conversation is gone`)

  const deadline = Date.now() + OUTBOX_EMPTY_WITHIN_MS
  const left = async () => Number((await database.query('select count(*) from outbox_batches')).rows[0].count)
  while ((await left()) > 0 && Date.now() < deadline) await delay(50)
  const batches = await left()
  if (batches > 0) faults.push(`${batches} batches are left in the outbox`)

  if (faults.length > 0) throw new Error(`the check of the database failed:\n  ${faults.slice(0, 20).join('\n  ')}`)
  return `${messages} messages in ${rows.length} conversations: as many as were acknowledged, seq and version without a hole and equal to the counters, outbox empty`
}

/**
 * Holds the baseline that stores against what the load generator saw: in every conversation as many messages as were
 * acknowledged. It promises no numbers, so there is nothing else to look at.
 *
 * @throws Error with every difference
 */
export async function verifyBaseline(database: pg.Client, accepted: ReadonlyMap<string, number>): Promise<string> {
  const { rows } = await database.query<{ id: string; stored: number }>(
    'select conversation_id as id, count(*)::float8 as stored from messages group by conversation_id'
  )
  const stored = new Map(rows.map(row => [row.id, row.stored]))
  const faults: string[] = []
  for (const id of new Set([...accepted.keys(), ...stored.keys()])) {
    const [wanted, found] = [accepted.get(id) ?? 0, stored.get(id) ?? 0]
    if (wanted !== found) faults.push(`${id}: ${wanted} messages were acknowledged, ${found} are stored`)
  }
  if (faults.length > 0) throw new Error(`the check of the baseline's database failed:\n  ${faults.slice(0, 20).join('\n  ')}`)
  return `${rows.reduce((sum, row) => sum + row.stored, 0)} messages of the Socket.IO baseline: as many as were acknowledged`
}
