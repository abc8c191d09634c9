import { randomUUID } from 'node:crypto'
import {
  BlockUser,
  CancelScheduled,
  ChangeConversation,
  ChangeScheduled,
  GetDirectConversation,
  ListScheduled,
  RemoveParticipant,
  type RequestOf,
  ScheduleMessage,
  SearchMessages
} from '@parley/contracts'
import { DIES_AFTER_COMMIT, failOnLeftovers, freshDatabase, type Person, startStore, startTestNats, until } from '@parley/test-kit'
import t, { type Test } from 'tap'
import { openBus, openStore, setup, upTo, type World, worldOf } from './setup.ts'

failOnLeftovers(t)

const soon = (inMs: number): string => new Date(Date.now() + inMs).toISOString()
const HOUR_MS = 3_600_000
const WAIT = { timeoutMs: 20_000 }

type More = Partial<RequestOf<typeof ScheduleMessage>>

async function schedule({ ask }: World, who: Person, conversation_id: string, content: string, more: More = {}) {
  return ask(ScheduleMessage, who, { conversation_id, content, send_at: soon(HOUR_MS), client_message_id: randomUUID(), ...more })
}

/** Has the time of everything come that is scheduled: as if the clock had gone on. */
const comeDue = ({ database }: World, agoMs = 0) =>
  database.query("update messaging.scheduled_messages set due_at = now() - $1 * interval '1 ms', send_at = now() - $1 * interval '1 ms'", [
    agoMs
  ])

const stored = async ({ database }: World, conversation_id: string) =>
  (
    await database.query<{ content: string }>(
      "select content from messaging.messages where conversation_id = $1 and content_type <> 'system' order by seq",
      [conversation_id]
    )
  ).map(({ content }) => content)

const rows = ({ database }: World) =>
  database.query<{ id: string; status: string; error: string | null; attempts: number }>(
    'select id, status, error, attempts from messaging.scheduled_messages order by created_at'
  )
const isEmpty = (world: World) => until(async () => (await rows(world)).length === 0, { ...WAIT, what: 'nothing is scheduled any more' })
const isTold = ({ database }: World) =>
  until(async () => (await database.query('select 1 from messaging.outbox_batches')).length === 0, { ...WAIT, what: 'all is published' })

/** A world in which no store runs once what a test needs is there. */
async function withoutStores(t: Test) {
  const [database, nats] = await Promise.all([freshDatabase(t), startTestNats(t)])
  const world = worldOf(database, nats, [], await openBus(t, nats.url))
  const servers = { databaseUrl: database.url, natsUrl: nats.url }
  const first = await openStore(t, servers)
  const [ada, bob] = await world.people('Ada', 'Bob')
  const { id } = await world.group(ada, bob)
  const leave = async (contents: string[]) => {
    for (const content of contents) await schedule(world, ada, id, content)
    await isTold(world)
    await first.close()
    await comeDue(world)
  }
  return {
    world,
    id,
    ada,
    bob,
    leave,
    open: () => openStore(t, servers),
    start: (env: NodeJS.ProcessEnv) => startStore(t, { ...servers, env })
  }
}

t.test('a message is sent within a second of its time, once, and everyone in the conversation is told', async t => {
  const world = await setup(t)
  const [ada, bob] = await world.people('Ada', 'Bob')
  const { id } = await world.group(ada, bob)
  const heard = await world.listen(id)
  const send_at = soon(1_500)
  const { message, duplicate } = await schedule(world, ada, id, `at last, @${bob.username}`, { send_at, metadata: { a: 1 } })
  t.equal(duplicate, false)
  t.match(message, { seq: null, version: 0, status: 'scheduled', send_at, error: null, sender_id: ada.id, metadata: { a: 1 } })
  t.same(await stored(world, id), [], 'not before')

  await until(() => heard.length > 0, { ...WAIT, what: 'it is told' })
  const { id: same, client_message_id, content } = message
  t.match(heard, [
    { type: 'new_message', message: { id: same, client_message_id, content, seq: 1, mentions: [bob.id], metadata: { a: 1 } } }
  ])
  const lateMs = Date.parse(heard[0]!.message.created_at) - Date.parse(send_at)
  t.ok(lateMs >= 0 && lateMs < 1_000, `${lateMs} ms late`)
  await isTold(world)
  t.same(await rows(world), [])
  t.same(await world.ask(ListScheduled, ada, {}), { messages: [] })
  t.equal((await stored(world, id)).length, 1)
  t.equal(heard.length, 1)
  t.match(await world.say(ada, id, 'next'), { seq: 2, version: 3 }, 'no number is left out')
})

t.test('a store that is killed after its commit has sent the message, and another tells of it: once', async t => {
  const { world, id, leave, open, start } = await withoutStores(t)
  await leave(['kept'])
  const heard = await world.listen(id)
  const died = await start({ NODE_OPTIONS: DIES_AFTER_COMMIT }).catch(error => error)
  t.match(String(died.message ?? (await died.exited).signal), /SIGKILL/)
  t.same(await stored(world, id), ['kept'], 'it is committed')
  t.same(await rows(world), [])
  t.same(heard, [], 'nobody was told')

  await open()
  await until(() => heard.length > 0, { ...WAIT, what: 'it is told' })
  await isTold(world)
  t.same(
    heard.map(({ message }) => message.content),
    ['kept']
  )
  t.same(await stored(world, id), ['kept'])
})

t.test('a store that is killed before its commit has sent nothing, and another sends it: once', async t => {
  const { world, id, leave, open, start } = await withoutStores(t)
  await leave(['one', 'two'])
  const heard = await world.listen(id)
  const died = await start({ NODE_OPTIONS: DIES_AFTER_COMMIT, PARLEY_TEST_DIES: 'before' }).catch(error => error)
  t.match(String(died.message ?? (await died.exited).signal), /SIGKILL/)
  t.same(await stored(world, id), [], 'nothing of it is kept')
  t.equal((await rows(world)).length, 2)

  await open()
  await isEmpty(world)
  await isTold(world)
  t.same(await stored(world, id), ['one', 'two'])
  t.same(
    heard.map(({ version, message }) => [version, message.content]),
    [
      [2, 'one'],
      [3, 'two']
    ]
  )
})

t.test('what came due while no store ran is sent by whichever comes first, each message once, and can be found', async t => {
  const { world, id, ada, leave, open } = await withoutStores(t)
  await leave(['late'])
  await world.database.query(
    `insert into messaging.scheduled_messages (id, org_id, conversation_id, user_id, content, first_content, content_type, send_at, due_at)
     select gen_random_uuid(), org_id, conversation_id, user_id, 'word ' || n, '', 'text', now(), now()
     from messaging.scheduled_messages, generate_series(1, 249) n`
  )
  await comeDue(world, HOUR_MS)
  const heard = await world.listen(id)
  await Promise.all([open(), open(), open()])
  await isEmpty(world)
  await isTold(world)
  t.same((await stored(world, id)).sort(), ['late', ...upTo(249).map(n => `word ${n}`)].sort())
  t.same(
    [...new Set(heard.map(({ version }) => version))].sort((a, b) => a - b),
    upTo(250).map(n => n + 1)
  )
  t.equal(heard.length, 250, 'and each is told once')
  await until(async () => (await world.ask(SearchMessages, ada, { query: { q: 'late' } })).results.length === 1, {
    ...WAIT,
    what: 'it can be found'
  })
})

t.test('one that was a little late keeps its id, and is in the search index with it', async t => {
  const { world, id, ada, leave, start } = await withoutStores(t)
  await leave([])
  const scheduled_id = await laterBy(world, ada, id, 5_000)
  // Nobody else would come upon it here.
  await start({ SEARCH_INDEX: '0' })
  await isEmpty(world)
  const [message] = await world.database.query<{ id: string }>('select id from messaging.messages where conversation_id = $1', [id])
  t.equal(message?.id, scheduled_id)
  t.equal((await world.ask(SearchMessages, ada, { query: { q: 'delayed' } })).results.length, 1)
})

const idOf = (ms: number): string => {
  const digits = ms.toString(16).padStart(12, '0')
  return `${digits.slice(0, 8)}-${digits.slice(8)}-7${randomUUID().slice(15)}`
}

async function laterBy({ database }: World, { id: user_id, org_id }: Person, conversation_id: string, ms: number): Promise<string> {
  const id = idOf(Date.now() - ms)
  await database.query(
    `insert into messaging.scheduled_messages (id, org_id, conversation_id, user_id, content, first_content, content_type, send_at, due_at)
     values ($1, $2, $3, $4, 'delayed', 'delayed', 'text', now() - $5 * interval '1 ms', now())`,
    [id, org_id, conversation_id, user_id, ms]
  )
  return id
}

t.test('what may not be sent when it is due stays with the reason, is not tried again, and is sent once it gets a new time', async t => {
  const world = await setup(t)
  const { ask } = world
  const [ada, bob, cem] = await world.people('Ada', 'Bob', 'Cem')
  const [left, locked, archived, open] = [
    await world.group(ada, bob),
    await world.group(ada, bob),
    await world.group(ada, bob),
    await world.group(ada, bob)
  ]
  const { conversation: direct } = await ask(GetDirectConversation, ada, { user_id: bob.id })
  for (const { id } of [left, locked, archived, direct]) await schedule(world, bob, id, 'hello')
  await schedule(world, cem, (await world.group(ada, cem)).id, 'from nobody')
  await schedule(world, bob, open.id, 'goes out')

  await ask(RemoveParticipant, ada, { conversation_id: left.id, user_id: bob.id })
  await ask(ChangeConversation, ada, { conversation_id: locked.id, status: 'locked' })
  await ask(ChangeConversation, ada, { conversation_id: archived.id, status: 'archived' })
  await ask(BlockUser, ada, { user_id: bob.id })
  await world.database.query('update messaging.users set deactivated_at = now() where id = $1', [cem.id])
  await comeDue(world)
  await until(async () => (await rows(world)).every(({ status }) => status === 'failed'), { ...WAIT, what: 'all are tried' })
  t.same(
    (await rows(world)).map(({ error }) => error),
    ['not_a_participant', 'conversation_locked', 'conversation_archived', 'blocked', 'forbidden']
  )
  t.same(await stored(world, open.id), ['goes out'], 'what is due with them is sent')

  await ask(ChangeConversation, ada, { conversation_id: locked.id, status: 'active' })
  const { messages } = await ask(ListScheduled, bob, {})
  t.same(
    messages.map(({ status, error }) => [status, error]),
    [
      ['failed', 'not_a_participant'],
      ['failed', 'conversation_locked'],
      ['failed', 'conversation_archived'],
      ['failed', 'blocked']
    ]
  )
  const again = messages[1]!.id
  t.match(await ask(ChangeScheduled, bob, { scheduled_id: again, content: 'hello again' }), { status: 'failed', content: 'hello again' })
  const heard = await world.listen(locked.id)
  t.match(await ask(ChangeScheduled, bob, { scheduled_id: again, send_at: soon(500) }), { status: 'scheduled', error: null })
  await until(() => heard.length === 1, { ...WAIT, what: 'it is sent' })
  t.equal(heard[0]?.message.content, 'hello again')
  t.same(await stored(world, left.id), [])
  t.equal((await rows(world)).length, 4, 'the others stay')
})

t.test('scheduling it again gives what stands, whatever has become of it, and other content is refused', async t => {
  const world = await setup(t)
  const [ada, bob] = await world.people('Ada', 'Bob')
  const { id } = await world.group(ada, bob)
  const client_message_id = randomUUID()
  const twice = () => schedule(world, ada, id, 'once', { client_message_id })
  const answers = await Promise.all([twice(), twice(), twice()])
  t.same(answers.map(({ duplicate }) => duplicate).sort(), [false, true, true])
  t.equal(new Set(answers.map(({ message }) => message.id)).size, 1)
  await t.rejects(schedule(world, ada, id, 'other', { client_message_id }), { code: 'idempotency_mismatch' })
  t.equal((await schedule(world, bob, id, 'other', { client_message_id })).duplicate, false, 'it is one sender’s own')

  const { id: scheduled_id } = answers[0]!.message
  await world.ask(ChangeScheduled, ada, { scheduled_id, content: 'changed' })
  t.match(await twice(), { duplicate: true, message: { id: scheduled_id, content: 'changed' } })
  await world.ask(ChangeScheduled, ada, { scheduled_id, content: 'once' })
  await comeDue(world)
  await isEmpty(world)
  t.match(await schedule(world, ada, id, 'once', { client_message_id, send_at: soon(-1) }), {
    duplicate: true,
    message: { seq: 1, content: 'once', client_message_id }
  })
  await t.rejects(schedule(world, ada, id, 'other', { client_message_id }), { code: 'idempotency_mismatch' })
  t.match(await world.say(ada, id, 'once', { client_message_id }), { seq: 1 }, 'a send at once finds it too')

  const cancelled = { client_message_id: randomUUID() }
  const { message } = await schedule(world, ada, id, 'better not', cancelled)
  await world.ask(CancelScheduled, ada, { scheduled_id: message.id })
  t.match(await schedule(world, ada, id, 'better not', cancelled), {
    duplicate: true,
    message: { id: message.id, status: 'cancelled', is_deleted: true, content: '' }
  })
  await comeDue(world)
  await schedule(world, bob, id, 'after it', { send_at: soon(300) })
  await until(async () => (await stored(world, id)).includes('after it'), { ...WAIT, what: 'the next is sent' })
  t.notOk((await stored(world, id)).includes('better not'))
})

t.test('what was said meanwhile under the same client_message_id is not said again, nor is anything else under it', async t => {
  const world = await setup(t)
  const [ada, bob] = await world.people('Ada', 'Bob')
  const { id } = await world.group(ada, bob)
  const [same, other] = [randomUUID(), randomUUID()]
  await schedule(world, ada, id, 'same', { client_message_id: same })
  await schedule(world, ada, id, 'planned', { client_message_id: other })
  await world.say(ada, id, 'same', { client_message_id: same })
  await world.say(ada, id, 'said', { client_message_id: other })
  await comeDue(world)
  await until(async () => (await rows(world)).length === 1, { ...WAIT, what: 'they are tried' })
  t.match(await rows(world), [{ status: 'failed', error: 'idempotency_mismatch' }])
  t.same(await stored(world, id), ['same', 'said'])
})

t.test('one that the database fails at does not hold up the others, and is given up at last', async t => {
  const world = await setup(t)
  const [ada, bob] = await world.people('Ada', 'Bob')
  const { id } = await world.group(ada, bob)
  await world.database.query(`
    create function messaging.fail() returns trigger language plpgsql as $$ begin raise exception 'poison'; end $$;
    create trigger fail before insert on messaging.messages for each row when (new.content = 'poison') execute function messaging.fail()`)
  for (const content of ['one', 'poison', 'two']) await schedule(world, ada, id, content)
  await comeDue(world)
  await until(async () => (await rows(world)).length === 1, { ...WAIT, what: 'the others are sent' })
  t.same(await stored(world, id), ['one', 'two'])
  await until(async () => (await rows(world))[0]?.attempts === 1, { ...WAIT, what: 'it is put off' })
  await world.database.query("update messaging.scheduled_messages set attempts = 7, due_at = now() where content = 'poison'")
  await until(async () => (await rows(world))[0]?.status === 'failed', { ...WAIT, what: 'it is given up' })
  t.match(await world.ask(ListScheduled, ada, {}), { messages: [{ content: 'poison', status: 'failed', error: 'internal' }] })
})
