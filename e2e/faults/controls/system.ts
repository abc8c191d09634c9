import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { DIES_AFTER_COMMIT, migratedDatabase, startTestPostgres } from '@parley/test-kit'
import pg from 'pg'
import { WebSocket } from 'ws'
import { check } from '../checker/check.ts'
import { checkResources, type Sample } from '../checker/resources.ts'
import type { Violation } from '../checker/violation.ts'
import { History } from '../history.ts'
import { runCase } from '../run-case.ts'
import { processCounts } from '../samples.ts'
import { type FaultCase, killProcess } from '../trial.ts'
import { ForgetfulSender, HastyReader, RecklessReader } from './broken-clients.ts'
import { frameDropper } from './drop-frames.ts'
import type { Control, ControlParts } from './index.ts'

/** Runs a broken system as a case; what the harness itself trips over does not count as found. */
async function violationsOf(one: Omit<FaultCase, 'id' | 'title' | 'pass'>, { seed, folder, onLife }: ControlParts): Promise<Violation[]> {
  const { violations, failures } = await runCase(
    { id: 'control', title: '', pass: '', load: { rate: 160, inFlightMax: 16, ...one.load }, ...one },
    { seed, isShort: true, folder, say: () => {}, onLife }
  )
  if (violations.length === 0 && failures.length > 0) throw new Error(failures.join('\n'))
  return violations
}

export const unsafeCommit: Control = {
  id: 'unsafe-commit',
  title: 'PostgreSQL with `synchronous_commit = off`, killed with all its processes',
  wanted: ['C1'],
  run: parts =>
    violationsOf(
      {
        platform: { postgres: { synchronous_commit: 'off', wal_writer_delay: '10s', wal_writer_flush_after: '1GB' } },
        convergeMs: 0,
        async run({ load, platform: { postgres, database } }) {
          // Otherwise a fast machine loses the schema and its roles as well, and there is nothing to come back to.
          await database.query('checkpoint')
          await load.more(300)
          await postgres.crash()
          await postgres.start()
          await load.more(20)
        }
      },
      parts
    )
}

export const noOutbox: Control = {
  id: 'no-outbox',
  title: 'a database that keeps no outbox rows, and a store that dies between commit and publish: nobody sweeps what it left',
  wanted: ['C10'],
  run: parts =>
    violationsOf(
      {
        convergeMs: 2_000,
        async prepare({ database }) {
          await database.query(`create function messaging.forget() returns trigger language plpgsql as 'begin return null; end'`)
          await database.query(
            'create trigger forget before insert on messaging.outbox_batches for each row execute function messaging.forget()'
          )
        },
        async run({ load, platform, scope, world }) {
          await load.finish()
          for (const store of platform.stores) await killProcess(store)
          const dying = await platform.startStore(scope, { instance: 'dying-store', env: { NODE_OPTIONS: DIES_AFTER_COMMIT } })
          const sent = load.senders[0]!.sendMessage(world.conversationsOf(world.senders[0]!.org_id)[0]!)
          await dying.exited
          await Promise.all(platform.stores.map(store => store.start()))
          await sent
        }
      },
      parts
    )
}

export const fetchBeforeSubscribe: Control = {
  id: 'fetch-before-subscribe',
  title: 'readers that fetch first and subscribe afterwards',
  wanted: ['C5', 'C10'],
  run: parts =>
    violationsOf(
      {
        load: { rate: 160, inFlightMax: 16, Reader: HastyReader },
        convergeMs: 0,
        run: ({ load }) => load.more(300)
      },
      parts
    )
}

const CUTS = 4

export const retryWithoutId: Control = {
  id: 'retry-without-id',
  title: 'senders that try again without a client_message_id, on a link that cuts acknowledgements off',
  wanted: ['C2'],
  run: parts =>
    violationsOf(
      {
        platform: { links: ['clients'] },
        load: { rate: 160, inFlightMax: 16, Sender: ForgetfulSender },
        async run(trial) {
          const { load, platform } = trial
          for (let n = 0; n < CUTS; n++) {
            for (const link of platform.links.clients) link.toxics.down = { cutAt: { marker: '{"type":"ack"', when: 'before' } }
            await trial.pause(150, 200)
            for (const link of platform.links.clients) link.heal()
            await load.more(40)
          }
        }
      },
      parts
    )
}

export const noGapCheck: Control = {
  id: 'no-gap-check',
  title: 'readers that apply what comes without looking for holes, on a link that swallows one message in thirty',
  wanted: ['C5'],
  run: parts =>
    violationsOf(
      {
        platform: { links: ['clients'] },
        load: { rate: 160, inFlightMax: 16, Reader: RecklessReader },
        convergeMs: 0,
        prepare({ links }) {
          for (const link of links.clients) link.toxics.down = { transform: frameDropper('{"type":"new_message"', 30) }
        },
        run: ({ load }) => load.more(300)
      },
      parts
    )
}

export const sessionTenant: Control = {
  id: 'session-tenant',
  title: 'row-level security whose organization is set for the session of a pooled connection, not for the transaction',
  wanted: ['C12'],
  run: async ({ life }) => {
    const database = await migratedDatabase((await startTestPostgres(life)).url)
    const pool = new pg.Pool({ connectionString: database.url, max: 1, options: '-c role=parley_app -c search_path=messaging' })
    life.teardown(() => pool.end())
    const orgs = ['a', 'b'].map(name => ({
      id: crypto.randomUUID(),
      user_id: crypto.randomUUID(),
      mark: `mark-${name}`,
      proc: `r-${name}`
    }))
    for (const { id, user_id, mark } of orgs) {
      await database.query('insert into messaging.organizations (id, name) values ($1, $2)', [id, mark])
      await database.query('insert into messaging.users (org_id, id, username, display_name) values ($1, $2, $3, $3)', [id, user_id, mark])
    }
    const cast = {
      actors: orgs.map(({ proc, user_id, id }) => ({ proc, user_id, org_id: id })),
      conversations: [],
      marks: Object.fromEntries(orgs.map(({ id, mark }) => [id, mark]))
    }
    /** Each asks for the people of their organization, in turn, on the one connection; the setting is made once it is new, or for each. */
    const read = async (isLocal: boolean): Promise<Violation[]> => {
      const history = new History()
      let isSet = false
      for (let n = 0; n < 10; n++) {
        const { id, proc, mark } = orgs[n % 2]!
        await pool.query('begin')
        if (isLocal || !isSet) await pool.query("select set_config('app.org_id', $1, $2)", [id, isLocal])
        isSet = true
        const { rows } = await pool.query<{ display_name: string }>('select display_name from users')
        await pool.query('commit')
        for (const { display_name } of rows) {
          if (display_name !== mark) history.add({ proc, type: 'ok', op: 'leak', value: display_name })
        }
      }
      return check(history.lines, { conversations: [], messages: [], revisions: [], participants: [], unread: [] }, cast)
    }
    if ((await read(true)).length > 0) throw new Error('the setting of a transaction leaks as well')
    return read(false)
  }
}

const SERVER = fileURLToPath(new URL('unbounded-server.ts', import.meta.url))

export const unboundedBuffer: Control = {
  id: 'unbounded-buffer',
  title: 'a socket server that writes without looking at what waits, and a client that does not read',
  wanted: ['C13'],
  run: async ({ life }) => {
    const server = spawn(process.execPath, [SERVER], { env: { PATH: process.env.PATH }, stdio: ['ignore', 'pipe', 'inherit', 'ipc'] })
    const gone = once(server, 'exit')
    life.teardown(async () => {
      server.kill('SIGKILL')
      await gone
    })
    const sample = async (): Promise<Sample[]> => {
      const { rss_bytes } = await processCounts(server.pid!)
      return [{ name: 'server', counts: { rss_bytes } }]
    }
    let before: Sample[] = []
    for await (const line of createInterface(server.stdout!)) {
      const port = /^listening on (\d+)$/.exec(line)?.[1]
      if (port) {
        before = await sample()
        const socket = new WebSocket(`ws://127.0.0.1:${port}`)
        socket.once('open', () => socket.pause())
        life.teardown(() => socket.terminate())
      }
      if (line === 'sent') break
    }
    return checkResources(before, await sample())
  }
}
