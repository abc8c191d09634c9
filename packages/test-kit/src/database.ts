import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startPostgres } from '@parley/local'
import pg from 'pg'
import type { Scope } from './scope.ts'

const MIGRATE = fileURLToPath(new URL('../../../services/message-store/src/migrate.ts', import.meta.url))
/** The template is looked at by autovacuum now and then, and cannot be copied meanwhile. */
const OBJECT_IN_USE = '55006'

export interface FreshDatabase {
  url: string
  /** Ends every connection to it, as the operator of a server may at any time. */
  terminateConnections(): Promise<void>
  /** Runs a statement as the owner of everything, past row-level security. */
  query<R extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<R[]>
}

/**
 * Gives a migrated database of the test's own: a copy of the template on the server that the whole run shares. A test
 * file that is run by hand starts a server for itself.
 */
export async function freshDatabase(t: Scope): Promise<FreshDatabase> {
  const { url: server, template } = await findServer()
  const name = `test_${randomUUID().replaceAll('-', '')}`
  await asOwner(server, owner => copyTemplate(owner, name, template))
  t.teardown(() => asOwner(server, owner => owner.query(`drop database if exists ${name} with (force)`)))
  const url = new URL(server)
  url.pathname = `/${name}`
  return databaseAt(url.href)
}

/** A database of a server that a test runs itself, brought to the newest schema. */
export async function migratedDatabase(url: string): Promise<FreshDatabase> {
  await migrateTestDatabase(url)
  return databaseAt(url)
}

function databaseAt(url: string): FreshDatabase {
  return {
    url,
    query: (text, values) => asOwner(url, async owner => (await owner.query(text, values)).rows),
    terminateConnections: () =>
      asOwner(url, async owner => {
        await owner.query(
          'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()'
        )
      })
  }
}

async function asOwner<T>(url: string, work: (owner: pg.Client) => Promise<T>): Promise<T> {
  const owner = new pg.Client({ connectionString: url })
  await owner.connect()
  try {
    return await work(owner)
  } finally {
    await owner.end()
  }
}

async function copyTemplate(owner: pg.Client, name: string, template: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      // Through the log and not file by file: that would force a checkpoint each time.
      await owner.query(`create database ${name} template ${template} strategy wal_log`)
      return
    } catch (error) {
      if ((error as { code?: string }).code !== OBJECT_IN_USE || attempt === 10) throw error
    }
  }
}

interface SharedServer {
  url: string
  template: string
}

let own: Promise<SharedServer> | undefined

async function findServer(): Promise<SharedServer> {
  const { PARLEY_TEST_DATABASE_URL: url, PARLEY_TEST_TEMPLATE: template = 'parley_template' } = process.env
  if (url) return { url, template }
  own ??= startOwn()
  return own
}

/** Started once for a process, and ended with its last test. */
async function startOwn(): Promise<SharedServer> {
  const template = 'parley_template'
  const { t } = await import('tap')
  const dataDir = await mkdtemp(join(tmpdir(), 'parley-postgres-'))
  t.teardown(() => rm(dataDir, { recursive: true, force: true }))
  const server = await startPostgres({ dataDir, database: template, settings: { fsync: 'off' } })
  t.teardown(() => server.stop())
  await migrateTestDatabase(server.url)
  const url = new URL(server.url)
  url.pathname = '/postgres'
  return { url: url.href, template }
}

/** Brings a database to the newest version of every schema, the way a deployment does. */
export async function migrateTestDatabase(url: string): Promise<void> {
  const child = spawn(process.execPath, [MIGRATE], {
    env: { PATH: process.env.PATH, DATABASE_URL: url },
    stdio: ['ignore', 'ignore', 'pipe']
  })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', text => {
    said += text
  })
  const code = await new Promise(resolve => child.once('close', resolve))
  if (code !== 0) throw new Error(`the database could not be migrated:\n${said}`)
}
