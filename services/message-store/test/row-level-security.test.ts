import { randomUUID } from 'node:crypto'
import { AddParticipant, AddReaction, MarkRead, ScheduleMessage } from '@parley/contracts'
import { Database, type Kysely, sql } from '@parley/pg-kit'
import { failOnLeftovers, type Person, until } from '@parley/test-kit'
import t from 'tap'
import type { Tables } from '../src/db.ts'
import { setup } from './setup.ts'

failOnLeftovers(t)

const { people, group, say, edit, ask, database } = await setup(t)
const [ada, bob, cem] = await people('Ada', 'Bob', 'Cem')
const [mallory, mate, late] = await people('Mallory', 'Mate', 'Late')

// Something of each organization in every table.
for (const [who, other, later] of [
  [ada, bob, cem],
  [mallory, mate, late]
] as const) {
  const { id } = await group(who, other)
  const message = await say(who, id, `secret, @${other.username}`)
  await edit(who, message, `secret still, @${other.username}`)
  await ask(MarkRead, other, { conversation_id: id })
  await ask(AddReaction, other, { message_id: message.id, emoji: '👍' })
  await ask(AddParticipant, who, { conversation_id: id, user_id: later.id })
  await ask(ScheduleMessage, who, { conversation_id: id, content: 'secret', send_at: new Date(Date.now() + 3_600_000).toISOString() })
  const project_id = randomUUID()
  await database.query('insert into messaging.projects (org_id, id) values ($1, $2)', [who.org_id, project_id])
  await database.query('insert into messaging.project_members (org_id, project_id, user_id) values ($1, $2, $3)', [
    who.org_id,
    project_id,
    who.id
  ])
  const job_id = randomUUID()
  await database.query(
    `insert into messaging.jobs (id, org_id, kind, params, created_by, created_at, updated_at) values ($1, $2, 'export', '{}', $3, now(), now())`,
    [job_id, who.org_id, who.id]
  )
  await database.query(`insert into messaging.export_pages values ($1, 1, $2, 'secret')`, [job_id, who.org_id])
  await database.query('insert into messaging.blocks (org_id, blocker_id, blocked_id) values ($1, $2, $3)', [who.org_id, who.id, other.id])
}
await until(async () => (await database.query('select 1 from messaging.outbox_batches')).length === 0)
await until(async () => (await database.query('select 1 from messaging.search_progress')).length === 2)
await database.query(
  `insert into messaging.outbox_batches (id, created_at, kind, conversation_ids) values (gen_random_uuid(), now() + interval '1 h', 'new_message', '{}')`
)

const tables = (
  await database.query<{ name: string; is_enabled: boolean; is_forced: boolean }>(
    `select relname as name, relrowsecurity as is_enabled, relforcerowsecurity as is_forced from pg_class
     where relnamespace = 'messaging'::regnamespace and relkind in ('r', 'p', 'm', 'v', 'f') order by 1`
  )
).filter(({ name }) => !['migrations', 'migration_lock'].includes(name))
const NO_PRIVILEGE = '42501'
/** What keeps no history, so that whoever answers people may remove it. */
const REMOVABLE = ['blocks', 'project_members', 'reactions', 'mentions', 'scheduled_messages']

const app = new Database<Tables>({
  url: database.url,
  max: 2,
  schema: 'messaging',
  role: 'parley_app',
  application: 'test',
  onError: () => {}
})
t.teardown(() => app.close())

const as = <T>(who: Person | undefined, work: (db: Kysely<Tables>) => Promise<T>): Promise<T> =>
  who ? app.asUser({ user_id: who.id, org_id: who.org_id }, work) : app.transaction(work)
const run = (who: Person | undefined, text: string) => as(who, async db => (await sql.raw<Record<string, unknown>>(text).execute(db)).rows)
/** What a person may see of a table when the query has no WHERE clause; nothing where it may not be read at all. */
const everything = (who: Person | undefined, table: string) =>
  run(who, `select * from ${table}`).catch(error => {
    if (error.code === NO_PRIVILEGE && /permission denied/.test(error.message)) return []
    throw error
  })

t.test('every table has row-level security, and its owner is not exempt', async t => {
  t.ok(tables.length >= 9)
  for (const { name, is_enabled, is_forced } of tables) t.ok(is_enabled && is_forced, name)
  for (const { name } of tables) {
    t.ok((await database.query(`select 1 from messaging.${name}`)).length > 0, `${name} has something to hide`)
  }
})

t.test('neither of the roles that answer can step around it, and no role may log in as one', async t => {
  const roles = await database.query(
    "select rolname, rolsuper, rolbypassrls, rolcanlogin from pg_roles where rolname in ('parley_app', 'parley_store') order by 1"
  )
  t.same(roles, [
    { rolname: 'parley_app', rolsuper: false, rolbypassrls: false, rolcanlogin: false },
    { rolname: 'parley_store', rolsuper: false, rolbypassrls: false, rolcanlogin: false }
  ])
  const owned = await database.query("select 1 from pg_class where pg_get_userbyid(relowner) in ('parley_app', 'parley_store')")
  t.same(owned, [], 'nor do they own anything')
})

t.test('a query without WHERE returns nothing of another organization, of any table', async t => {
  const seen = new Set<string>()
  for (const { name } of tables) {
    const rows = await everything(ada, name)
    if (rows.length > 0) seen.add(name)
    for (const row of rows) t.equal(row.org_id ?? row.id, ada.org_id, name)
  }
  t.same([...seen].sort(), [
    'absences',
    'blocks',
    'conversations',
    'export_pages',
    'jobs',
    'mentions',
    'message_revisions',
    'message_search',
    'messages',
    'organizations',
    'participants',
    'project_members',
    'projects',
    'reactions',
    'read_markers',
    'scheduled_messages',
    'users'
  ])
})

t.test('without a person there is nothing to see at all', async t => {
  for (const { name } of tables) t.same(await everything(undefined, name), [], name)
  await run(ada, 'select 1')
  for (const { name } of tables) t.same(await everything(undefined, name), [], `${name}, after somebody was there`)
})

t.test('rows of another organization cannot be changed or removed', async t => {
  const before = await database.query('select * from messaging.messages order by id')
  for (const text of [
    "update messages set content = 'owned', updated_at = now()",
    'update conversations set version = 99',
    'update participants set last_read_seq = 99',
    `update users set settings = '{"owned": true}'`,
    "update projects set name = 'owned'"
  ]) {
    await as(ada, async db => {
      const { numAffectedRows } = await sql.raw(text).execute(db)
      const [{ n }] = (await sql.raw<{ n: number }>(`select count(*)::int as n from ${text.split(' ')[1]}`).execute(db)).rows as [
        { n: number }
      ]
      t.equal(Number(numAffectedRows), n, `${text}: those of one's own alone`)
      throw new Error('not kept')
    }).catch(error => t.match(error, { message: 'not kept' }))
  }
  t.same(await database.query('select * from messaging.messages order by id'), before)
  for (const { name } of tables) {
    if (!REMOVABLE.includes(name)) await t.rejects(run(ada, `delete from ${name}`), { code: NO_PRIVILEGE }, name)
  }
  for (const name of REMOVABLE) {
    const theirs = () => database.query(`select * from messaging.${name} where org_id = $1`, [mallory.org_id])
    const kept = await theirs()
    t.ok(kept.length > 0, name)
    await as(ada, async db => {
      const { numAffectedRows } = await sql.raw(`delete from ${name}`).execute(db)
      t.equal(Number(numAffectedRows), 1, `${name}: those of one's own alone`)
    })
    t.same(await theirs(), kept, name)
  }
})

t.test('rows cannot be made in the name of another organization', async t => {
  const [theirs] = await database.query<{ id: string }>('select id from messaging.conversations where org_id = $1', [mallory.org_id])
  const org = `'${mallory.org_id}'`
  const id = `'${randomUUID()}'`
  const inserts = {
    conversations: `(id, org_id, type, created_by, created_at, updated_at) values (${id}, ${org}, 'group', '${ada.id}', now(), now())`,
    participants: `(conversation_id, user_id, org_id, joined_at) values ('${theirs!.id}', '${mallory.id}', ${org}, now())`,
    message_revisions: `values (${id}, '${theirs!.id}', ${org}, 9, 'x', now(), '${ada.id}')`,
    message_search: `values (${id}, '${theirs!.id}', 99, ${org}, 99, '')`,
    scheduled_messages: `(id, org_id, conversation_id, user_id, content, first_content, content_type, send_at, due_at)
      values (${id}, ${org}, '${theirs!.id}', '${mallory.id}', 'x', 'x', 'text', now(), now())`,
    search_progress: `values (${id}, 99)`,
    search_worker: '(id) values (1)',
    mentions: `values ('${theirs!.id}', '${ada.id}', 9, ${org})`,
    reactions: `values (${id}, '👍', '${ada.id}', '${theirs!.id}', ${org}, now())`,
    absences: `values ('${theirs!.id}', '${ada.id}', 1, 9, ${org})`,
    read_markers: `values ('${theirs!.id}', '${ada.id}', 9, ${org}, now())`,
    jobs: `(id, org_id, kind, params, created_by, created_at, updated_at) values (${id}, ${org}, 'purge', '{}', '${ada.id}', now(), now())`,
    export_pages: `values (${id}, 1, ${org}, 'x')`,
    blocks: `values (${org}, '${mallory.id}', '${mate.id}')`,
    projects: `values (${org}, ${id})`,
    project_members: `values (${org}, ${id}, '${mallory.id}')`,
    organizations: `(id, name) values (${id}, 'mine')`,
    users: `(org_id, id, username, display_name) values (${org}, ${id}, 'x', 'x')`,
    messages: `(conversation_id, seq, id, version, org_id, sender_id, content, created_at, updated_at)
      values ('${theirs!.id}', 99, ${id}, 99, ${org}, '${ada.id}', 'x', now(), now())`
  }
  for (const [table, values] of Object.entries(inserts)) {
    await t.rejects(run(ada, `insert into ${table} ${values}`), { code: NO_PRIVILEGE }, table)
    if (table !== 'organizations')
      await t.rejects(run(undefined, `insert into ${table} ${values}`), { code: NO_PRIVILEGE }, `${table}, as nobody`)
  }
  t.same(
    Object.keys(inserts).concat('outbox_batches').sort(),
    tables.map(({ name }) => name),
    'every table is tried; into the outbox anyone may put work, which nobody but the store reads'
  )
  await t.rejects(run(ada, `update messages set org_id = ${org}`), { code: NO_PRIVILEGE })
})

t.test('what a colleague has scheduled is neither seen nor touched, and nothing is scheduled in their name', async t => {
  t.same(await everything(mate, 'scheduled_messages'), [])
  for (const text of ["update scheduled_messages set content = 'owned'", 'delete from scheduled_messages']) {
    t.equal(Number((await as(mate, db => sql.raw(text).execute(db))).numAffectedRows), 0, text)
  }
  const [theirs] = await everything(mallory, 'scheduled_messages')
  await t.rejects(
    run(
      mate,
      `insert into scheduled_messages (id, org_id, conversation_id, user_id, content, first_content, content_type, send_at, due_at)
       values ('${randomUUID()}', '${mallory.org_id}', '${theirs!.conversation_id}', '${mallory.id}', 'x', 'x', 'text', now(), now())`
    ),
    { code: NO_PRIVILEGE }
  )
})

t.test('the function that stores messages is not for whoever answers people', async t => {
  await t.rejects(run(ada, "select send_batch(null, null, '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}')"), {
    code: NO_PRIVILEGE
  })
})
