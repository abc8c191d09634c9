import {
  type CompiledQuery,
  type DatabaseConnection,
  type Driver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type QueryResult
} from 'kysely'
import pg from 'pg'
import { fromPostgres } from './errors.ts'
import { setTypes } from './types.ts'

/** Who a query answers: sets the row-level security of its transaction. */
export interface Caller {
  user_id: string
  org_id: string
}

export interface PoolOptions {
  url: string
  max: number
  schema: string
  /** The role taken at connect: it owns no table, so row-level security holds for it. */
  role: string
  application: string
  onError: (error: Error) => void
}

export interface TransactionOptions {
  /** All queries see the same moment, and none may write: for an answer put together from several. */
  snapshot?: boolean
}

const SESSION = {
  TimeZone: 'UTC',
  DateStyle: 'ISO',
  statement_timeout: 4_500,
  lock_timeout: 1_500,
  idle_in_transaction_session_timeout: 10_000,
  // Whoever was cut off without a word is noticed in a minute: by default their connections stay for two hours.
  tcp_keepalives_idle: 30,
  tcp_keepalives_interval: 10,
  tcp_keepalives_count: 3
}

const SNAPSHOT = 'begin isolation level repeatable read read only'

/**
 * A pool whose queries run as one role. Within a transaction nothing is awaited but the queries themselves: begin and
 * settings go out with the first query (awaiting begin, set, select and commit one by one costs a third to a half).
 */
export class Database<DB> {
  readonly pool: pg.Pool
  /** Host and port, for whoever reads of it in the log. */
  readonly #server: string

  constructor({ url, max, schema, role, application, onError }: PoolOptions) {
    setTypes()
    this.#server = new URL(url).host
    const settings = Object.entries({ role, search_path: schema, ...SESSION }).map(([name, value]) => `-c ${name}=${value}`)
    this.pool = new pg.Pool({
      connectionString: url,
      max,
      application_name: application,
      pipeline: true,
      keepAlive: true,
      connectionTimeoutMillis: 1_500,
      idleTimeoutMillis: 60_000,
      // A server that no longer answers at all: nothing but our own clock ends that query.
      query_timeout: 5_000,
      options: settings.join(' ')
    } as pg.PoolConfig)
    this.pool.on('error', onError)
    // Without a listener of its own a lost connection that is checked out ends the process.
    this.pool.on('connect', client => client.on('error', onError))
  }

  /**
   * Runs queries in one transaction as a person: rows of other organizations do not exist for it. The settings are
   * local to the transaction; session-level ones leaked in 50 of 50 pooled queries.
   *
   * @throws AppError unavailable where the database is away
   */
  asUser<T>({ user_id, org_id }: Caller, work: (db: Kysely<DB>) => Promise<T>, options: TransactionOptions = {}): Promise<T> {
    return this.#transaction(work, options, client =>
      client.query({
        name: 'as_user',
        text: "select set_config('app.user_id', $1, true), set_config('app.org_id', $2, true)",
        values: [user_id, org_id]
      })
    )
  }

  /** Runs queries in one transaction without a person: for the service's own work, under its own role. */
  transaction<T>(work: (db: Kysely<DB>) => Promise<T>, options: TransactionOptions = {}): Promise<T> {
    return this.#transaction(work, options)
  }

  /** Runs one query outside of a transaction. */
  async query<T>(work: (db: Kysely<DB>) => Promise<T>): Promise<T> {
    try {
      const client = await this.#connect()
      let failure: unknown
      try {
        return await work(kyselyOn<DB>(client))
      } catch (error) {
        failure = error
        throw error
      } finally {
        client.release(isBroken(failure))
      }
    } catch (error) {
      throw fromPostgres(error)
    }
  }

  async #transaction<T>(
    work: (db: Kysely<DB>) => Promise<T>,
    { snapshot = false }: TransactionOptions,
    prepare?: (client: pg.PoolClient) => Promise<unknown>
  ): Promise<T> {
    let client: pg.PoolClient | undefined
    let failure: unknown
    try {
      client = await this.#connect()
      // Sent with the first query, not awaited before it; a failure of these fails that query and the commit too.
      const begun = Promise.all([client.query(snapshot ? SNAPSHOT : 'begin'), prepare?.(client)])
      begun.catch(() => {})
      const result = await work(kyselyOn<DB>(client))
      const [, { command }] = await Promise.all([begun, client.query('commit')])
      // The commit of a transaction that has failed is answered by a rollback, as if that were a success.
      if (command !== 'COMMIT') throw new Error('the transaction had failed before its commit: nothing of it is kept')
      return result
    } catch (error) {
      failure = error
      if (client) await client.query('rollback').catch(rollback => (failure = rollback))
      throw fromPostgres(error)
    } finally {
      client?.release(isBroken(failure))
    }
  }

  /** @throws Error that names the server: a name that has no address, or a time-out, may say nothing of where it was looked for */
  async #connect(): Promise<pg.PoolClient> {
    try {
      return await this.pool.connect()
    } catch (error) {
      if (!(error instanceof Error) || error instanceof pg.DatabaseError) throw error
      const { code } = error as NodeJS.ErrnoException
      throw Object.assign(new Error(`no connection to ${this.#server}: ${error.message}`, { cause: error }), code !== undefined && { code })
    }
  }

  close(): Promise<void> {
    return this.pool.end()
  }
}

/** A connection that failed other than by an answer of the server, or that the server ended, is not used again. */
function isBroken(failure: unknown): boolean {
  if (!(failure instanceof Error) || failure.name === 'AppError') return false
  // An error without a code is the library's own: it could not read what came, and reads on at some place of its own.
  if (!(failure instanceof pg.DatabaseError) || failure.code === undefined) return true
  return failure.severity === 'FATAL' || failure.severity === 'PANIC'
}

const instances = new WeakMap<pg.ClientBase, Kysely<unknown>>()

function kyselyOn<DB>(client: pg.ClientBase): Kysely<DB> {
  let instance = instances.get(client)
  if (!instance) {
    instance = new Kysely<unknown>({
      dialect: {
        createAdapter: () => new PostgresAdapter(),
        createDriver: () => new ClientDriver(client),
        createIntrospector: db => new PostgresIntrospector(db),
        createQueryCompiler: () => new PostgresQueryCompiler()
      }
    })
    instances.set(client, instance)
  }
  return instance as Kysely<DB>
}

const MAX_PREPARED = 300
const names = new Map<string, string>()

/** A statement's name, so that each connection prepares it once (unprepared: 0.93 of the throughput). */
function nameOf(sql: string): string | undefined {
  let name = names.get(sql)
  if (name === undefined && names.size < MAX_PREPARED) {
    name = `s${names.size}`
    names.set(sql, name)
  }
  return name
}

/** Kysely on one connection that is checked out elsewhere; transactions are the Database's business. */
class ClientDriver implements Driver {
  readonly #connection: DatabaseConnection

  constructor(client: pg.ClientBase) {
    this.#connection = {
      async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
        const name = nameOf(sql)
        const result = await client.query({ text: sql, values: parameters as unknown[], ...(name && { name }) })
        return { rows: result.rows as R[], ...(result.rowCount !== null && { numAffectedRows: BigInt(result.rowCount) }) }
      },
      streamQuery(): never {
        throw new Error('streams need a connection of their own')
      }
    }
  }

  async init(): Promise<void> {}
  async acquireConnection(): Promise<DatabaseConnection> {
    return this.#connection
  }
  async releaseConnection(): Promise<void> {}
  async beginTransaction(): Promise<never> {
    throw new Error('use Database.asUser or Database.transaction')
  }
  async commitTransaction(): Promise<void> {}
  async rollbackTransaction(): Promise<void> {}
  async destroy(): Promise<void> {}
}
