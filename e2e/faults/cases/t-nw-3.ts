import { setTimeout as delay } from 'node:timers/promises'
import { until } from '@parley/test-kit'
import { RawNats } from '../../src/raw-nats.ts'
import { Rest } from '../client/rest.ts'
import { Probe } from '../probe.ts'
import type { FaultCase, Trial } from '../trial.ts'

/** What the gateway waits for the store's answer to a send, twice: another store might have answered. */
const REFUSED_MS = 4_200
/** A query has 5 s; a new connection 1.5 s. */
const POOL_MS = 5_000
/** A machine that others work on has answered 2 s late. */
const GRACE_MS = 3_000
/** PostgreSQL ends a transaction itself whose client says nothing for 10 s. */
const TRANSACTION_MS = 10_000

export const silentDatabase: FaultCase = {
  id: 'T-NW-3',
  title: 'the links between all stores and PostgreSQL are silent: no byte, no end',
  pass: 'sends are refused with 503 within 4.2 s, the pool gives up within 5 s, no transaction and no lock is left, and it recovers by itself',
  platform: { links: ['store-postgres'] },
  async run(trial) {
    const probe = new Probe('nw3', trial.history, trial.world)
    const rest = new Rest()
    trial.scope.teardown(() => rest.close())
    const worst = { refused: 0, pool: 0, transaction: 0 }
    for (let round = 0; round < trial.times(2, 1); round++) {
      await trial.strike('store-postgres silent', {
        countFrom: 'up',
        down: async () => {
          const since = performance.now()
          for (const link of trial.platform.links['store-postgres']) link.both({ isSilent: true })
          const [refused, pool] = await Promise.all([refusedAfter(trial, probe, rest), givenUpAfter(trial)])
          worst.refused = Math.max(worst.refused, refused)
          worst.pool = Math.max(worst.pool, pool)
          await delay(Math.max(0, trial.times(30_000, 0) - (performance.now() - since)))
        },
        up: async () => {
          for (const link of trial.platform.links['store-postgres']) link.heal()
        }
      })
      worst.transaction = Math.max(worst.transaction, await noTransactionLeft(trial))
      // Now the server learns of the connections that were given up in the silence, as from the kernel of a machine that is back.
      for (const link of trial.platform.links['store-postgres']) link.reset()
      await trial.pause()
    }
    trial.measured.set('a send is refused after', `${(worst.refused / 1_000).toFixed(1)} s (max)`)
    trial.measured.set('the pool gives up after', `${(worst.pool / 1_000).toFixed(1)} s (max)`)
    trial.measured.set('a transaction left open is ended after', `${(worst.transaction / 1_000).toFixed(1)} s (max)`)
    trial.expect(worst.refused <= REFUSED_MS + GRACE_MS, `a send was refused after ${Math.round(worst.refused)} ms`)
    trial.expect(worst.pool <= POOL_MS + GRACE_MS, `the pool gave up after ${Math.round(worst.pool)} ms`)
  }
}

/** How long somebody waits who sends: until 503, with when to come again. */
async function refusedAfter(trial: Trial, probe: Probe, rest: Rest): Promise<number> {
  const said = probe.next()
  const attempt = probe.attempt(said)
  const since = performance.now()
  const { status, body } = await rest.ask(
    trial.platform.urls[0]!,
    trial.platform.token(probe.who),
    'POST',
    `/conversations/${said.conv}/messages`,
    { content: said.content, client_message_id: said.key },
    15_000
  )
  const took = performance.now() - since
  probe.unknown(attempt, body.code)
  trial.expect(status === 503 && body.code === 'unavailable' && body.retry_after_ms > 0, `a send was answered ${JSON.stringify(body)}`)
  return took
}

/** How long the store itself takes to say that its database is away: asked by somebody who waits longer than a gateway. */
async function givenUpAfter(trial: Trial): Promise<number> {
  const nats = await RawNats.connect(trial.platform.nats.url)
  try {
    const since = performance.now()
    const [reader] = trial.world.readers
    const actor = { user_id: reader!.id, org_id: reader!.org_id, role: 'member' }
    const replies = await Promise.all(
      Array.from({ length: 8 }, async () => {
        const reply = await nats.request('req.messages.unread', { actor }, 20_000)
        return { ...reply, took: performance.now() - since }
      })
    )
    const answered = replies.filter(({ status }) => status !== 503)
    trial.expect(answered.length === 0, `a store answered with its database silent: ${JSON.stringify(answered[0])}`)
    return Math.max(...replies.map(({ took }) => took))
  } finally {
    nats.close()
  }
}

/** Nothing that was open when the silence began is open now, or holds a lock. */
async function noTransactionLeft({ platform: { database } }: Trial): Promise<number> {
  const since = performance.now()
  await until(
    async () => {
      // What is older than the longest query is nobody's any more.
      const left = await database.query(
        `select a.pid from pg_stat_activity a
         where a.datname = current_database() and a.pid <> pg_backend_pid() and a.backend_type = 'client backend'
           and a.xact_start < now() - interval '6 seconds'`
      )
      const locks = await database.query(
        `select 1 from pg_locks l join pg_stat_activity a using (pid)
         where a.datname = current_database() and a.pid <> pg_backend_pid() and a.backend_type = 'client backend'
           and (a.xact_start is null or a.xact_start < now() - interval '6 seconds')`
      )
      return left.length + locks.length === 0
    },
    { timeoutMs: TRANSACTION_MS + 5_000, what: 'no transaction and no lock is left of before the silence' }
  )
  return performance.now() - since
}
