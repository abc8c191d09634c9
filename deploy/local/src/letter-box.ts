import { resolve } from 'node:path'
import pg from 'pg'
import { readServers } from './data-folder.ts'
import { Refusal, ROOT } from './settings.ts'

/** A dead letter as a list shows it. */
export interface Found {
  schema: string
  id: number
  consumer: string
  key: string
  reason: string
  bytes: number
  deliveries: number
  replays: number
  first_failed_at: Date
  last_failed_at: Date
  replay_requested_at: Date | null
}

export interface Letter extends Record<string, unknown> {
  error: string
  payload: Buffer
  replay_requested_at: Date | null
}

/** The dead letters of every consumer: each service has a table of them in its own schema. */
export class LetterBox {
  readonly #client: pg.Client
  /** The role that each schema's letters answer to: row-level security holds for the owner as well. */
  readonly #roles: Map<string, string>

  private constructor(client: pg.Client, roles: Map<string, string>) {
    this.#client = client
    this.#roles = roles
  }

  /** @throws Refusal where there is no database, or none that answers */
  static async open(env: NodeJS.ProcessEnv): Promise<LetterBox> {
    const dataDir = resolve(ROOT, env.PARLEY_DATA_DIR || '.parley')
    const url = env.DATABASE_URL || (await readServers(dataDir))?.database
    if (!url) throw new Refusal(`no Parley runs on ${dataDir}: start it, or set DATABASE_URL to the database in use`)
    let client: pg.Client
    try {
      client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000, application_name: 'dead-letters' })
      await client.connect()
    } catch (error) {
      throw new Refusal(`the database cannot be reached (${(error as Error).message}): is it running, and is DATABASE_URL right?`)
    }
    const { rows } = await client.query<{ schema: string; role: string }>(
      "select schemaname as schema, roles[1] as role from pg_policies where tablename = 'dead_letters' order by 1"
    )
    return new LetterBox(client, new Map(rows.map(({ schema, role }) => [schema, role])))
  }

  close(): Promise<void> {
    return this.#client.end()
  }

  async letters(consumer: string | undefined): Promise<Found[]> {
    const found: Found[] = []
    for (const schema of this.#roles.keys()) {
      const rows = await this.#ask<Omit<Found, 'schema'>>(
        schema,
        table => `select id::int, consumer, key, reason, octet_length(payload) as bytes, deliveries, replays, first_failed_at, last_failed_at,
          replay_requested_at from ${table} where $1::text is null or consumer = $1 order by id`,
        [consumer ?? null]
      )
      for (const row of rows) found.push({ schema, ...row })
    }
    return found.toSorted((a, b) => a.first_failed_at.getTime() - b.first_failed_at.getTime())
  }

  async read({ schema, id }: Found): Promise<Letter | undefined> {
    const [letter] = await this.#ask<Letter>(
      schema,
      table => `select id, consumer, reason, error, key, subject, stream, stream_seq, published_at, first_failed_at, last_failed_at,
        deliveries, replays, replay_requested_at, payload from ${table} where id = $1`,
      [id]
    )
    return letter
  }

  async drop({ schema, id }: Found): Promise<void> {
    await this.#ask(schema, table => `delete from ${table} where id = $1`, [id])
  }

  async askForReplay({ schema, id }: Found): Promise<void> {
    await this.#ask(schema, table => `update ${table} set replay_requested_at = now() where id = $1`, [id])
  }

  async #ask<R extends pg.QueryResultRow>(schema: string, text: (table: string) => string, values: unknown[]): Promise<R[]> {
    await this.#client.query(`set role ${pg.escapeIdentifier(this.#roles.get(schema)!)}`)
    return (await this.#client.query<R>(text(`${pg.escapeIdentifier(schema)}.dead_letters`), values)).rows
  }
}
