import { type Kysely, sql } from 'kysely'

/**
 * Makes the tables of a schema's consumers: what they have applied (`inbox`) and what they could not apply
 * (`dead_letters`). For a migration of the service whose effects they guard; called again it changes nothing.
 *
 * @param role the role that the service works as
 */
export async function createConsumerTables<DB>(db: Kysely<DB>, { schema, role }: { schema: string; role: string }): Promise<void> {
  const inbox = sql.id(schema, 'inbox')
  const letters = sql.id(schema, 'dead_letters')
  // Each row is written again with each batch, so there is room beside it and the writes touch no index.
  await sql`
    create table if not exists ${inbox} (
      consumer text not null,
      conversation_id uuid not null,
      applied int8multirange not null,
      primary key (consumer, conversation_id)
    ) with (fillfactor = 70)`.execute(db)
  await sql`
    create table if not exists ${letters} (
      id bigint generated always as identity primary key,
      consumer text not null,
      key text not null,
      reason text not null,
      error text not null,
      subject text not null,
      stream text not null,
      stream_seq bigint not null,
      published_at timestamptz not null,
      first_failed_at timestamptz not null,
      last_failed_at timestamptz not null default now(),
      deliveries integer not null,
      replays integer not null default 0,
      payload bytea not null,
      replay_requested_at timestamptz,
      claimed_until timestamptz,
      unique (consumer, key)
    )`.execute(db)
  await sql`create index if not exists dead_letters_replay on ${letters} (consumer, id) where replay_requested_at is not null`.execute(db)
  for (const table of [inbox, letters]) {
    await sql`alter table ${table} enable row level security`.execute(db)
    await sql`alter table ${table} force row level security`.execute(db)
    await sql`drop policy if exists consumer on ${table}`.execute(db)
    await sql`create policy consumer on ${table} to ${sql.id(role)} using (true) with check (true)`.execute(db)
    await sql`grant select, insert, update, delete on ${table} to ${sql.id(role)}`.execute(db)
  }
}
