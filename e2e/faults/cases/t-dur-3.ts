import { type Call, familyOf, Trace } from '../trace.ts'
import type { FaultCase, Trial } from '../trial.ts'

const CALLS = ['fdatasync', 'fsync', 'recvfrom', 'sendto', 'write', 'writev', 'sendmsg']

/** A tracer between every call and the kernel: nobody is in a hurry here. */
const SLOW = { rate: 40, inFlightMax: 2 }

export const traceFlushes: FaultCase = {
  id: 'T-DUR-3',
  title: 'nothing is broken: the system calls of PostgreSQL and of the stores are looked at',
  pass: 'of each send fdatasync of the log has returned before PostgreSQL answers the store, and the store answers after that; with synchronous_commit off it has not',
  load: SLOW,
  async run(trial) {
    const count = trial.times(1_000, 100)
    const safe = await traceSends(trial, count)
    trial.expect(safe.seen === safe.sends && safe.sends >= count / 2, `of ${safe.sends} sends ${safe.seen} were found in the trace`)
    trial.expect(safe.early === 0, `${safe.early} of ${safe.sends} sends were answered by PostgreSQL before their log was flushed`)
    trial.expect(
      safe.overtaken === 0,
      `${safe.overtaken} of ${safe.sends} sends were answered by a store before PostgreSQL had answered it`
    )
    trial.measured.set('sends whose flush was seen before both answers', `${safe.seen}`)

    const { database } = trial.platform
    await database.query('alter system set synchronous_commit = off')
    await database.query('select pg_reload_conf()')
    await database.terminateConnections()
    const unsafe = await traceSends(trial, count / 5)
    trial.expect(
      unsafe.early > count / 50,
      `with synchronous_commit off only ${unsafe.early} of ${count / 5} sends were seen answered too early`
    )
    trial.measured.set('with synchronous_commit off answered before a flush', `${unsafe.early} of ${unsafe.sends}`)
    await database.query('alter system reset synchronous_commit')
    await database.query('select pg_reload_conf()')
    await database.terminateConnections()
  }
}

interface Seen {
  /** Begun and acknowledged while everything was traced. */
  sends: number
  /** Of those, found in the trace from the store's question to its answer. */
  seen: number
  /** PostgreSQL answered before the log was flushed. */
  early: number
  /** The store answered before PostgreSQL did. */
  overtaken: number
}

async function traceSends({ platform, load, history, scope }: Trial, count: number): Promise<Seen> {
  await load.more(20)
  const backends = await familyOf(platform.postgres.pid)
  const trace = await Trace.attach(scope, [...backends, ...platform.stores.map(({ pid }) => pid)], CALLS)
  const from = history.lines.length
  await load.more(count)
  const lines = history.lines.slice(from)
  const calls = await trace.end()
  const acknowledged = new Set(lines.filter(({ type, op }) => type === 'ok' && op === 'send').map(({ of }) => of))
  const sends = lines.filter(({ type, op, n }) => type === 'invoke' && op === 'send' && acknowledged.has(n))
  return judge(
    calls,
    sends.map(({ value }) => value!)
  )
}

function judge(calls: readonly Call[], contents: readonly string[]): Seen {
  const flushes = calls.filter(({ name, text }) => FLUSH.test(name) && /pg_wal.*= 0$/.test(text))
  const received = calls.filter(({ name, text }) => name === 'recvfrom' && text.includes('mark-'))
  const sent = calls.filter(({ name }) => name === 'sendto')
  const written = calls.filter(({ name, text }) => WRITE.test(name) && text.includes('content'))
  const found = { sends: contents.length, seen: 0, early: 0, overtaken: 0 }
  for (const content of contents) {
    // A number may follow whose beginning this is; as a parameter nothing ends it.
    const said = new RegExp(`${content}(?!\\d)`)
    const asked = received.find(({ text }) => said.test(text))
    const answered = asked && sent.find(({ pid, begunAt }) => pid === asked.pid && begunAt > asked.endedAt)
    // The reply or the event, whichever goes out first.
    const told = answered && written.find(({ text }) => text.includes(`\\"content\\":\\"${content}\\"`))
    if (!told) continue
    found.seen++
    if (!flushes.some(({ begunAt, endedAt }) => begunAt > asked.endedAt && endedAt < answered.begunAt)) found.early++
    if (told.begunAt < answered.begunAt) found.overtaken++
  }
  return found
}

const FLUSH = /^f(data)?sync$/
const WRITE = /^(write|writev|sendmsg)$/
