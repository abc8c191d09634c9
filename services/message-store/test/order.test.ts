import { sql } from '@parley/pg-kit'
import { failOnLeftovers, until } from '@parley/test-kit'
import t from 'tap'
import { openOwner, seeded, setup, toSend, upTo } from './setup.ts'

failOnLeftovers(t)

const { people, group, sendAll, say, edit, remove, listen, database } = await setup(t, { stores: 2 })

const counters = async (id: string) =>
  (
    await database.query<{ last_seq: number; version: number; seqs: string[]; versions: string[] }>(
      `select last_seq::int, version::int, (select array_agg(seq order by seq) from messaging.messages where conversation_id = $1) as seqs,
         (select array_agg(version order by version) from messaging.messages where conversation_id = $1) as versions
       from messaging.conversations where id = $1`,
      [id]
    )
  )[0]!

t.test('fifty who write at once get a seq each, without holes, in the order of what is stored and told', async t => {
  const writers = await people(...upTo(50).map(n => `Writer ${n}`))
  const { id } = await group(...writers)
  const heard = await listen(id)

  const lines = (await Promise.all(writers.map(who => sendAll(upTo(4).map(n => toSend(who, id, `${n}`)))))).flat()

  t.same(
    lines.map(({ message }) => message?.seq).sort((a, b) => a! - b!),
    upTo(200)
  )
  const { last_seq, version, seqs, versions } = await counters(id)
  t.equal(last_seq, 200)
  t.equal(version, 201, 'a new conversation has version 1, and each message takes one')
  t.same(seqs.map(Number), upTo(200))
  t.same(
    versions.map(Number),
    upTo(200).map(n => n + 1)
  )
  for (const { message } of lines) t.equal(message!.version, message!.seq + 1)
  await until(() => heard.length >= 200, { what: 'all are told' })
  t.same(
    [...new Set(heard.map(({ version }) => version))].sort((a, b) => a - b),
    upTo(200).map(n => n + 1),
    'every version is told'
  )
})

t.test('what one person sends in one request keeps its order', async t => {
  const [ada, bob] = await people('Ada', 'Bob')
  const { id } = await group(ada, bob)
  const lines = await sendAll(upTo(500).map(n => toSend(ada, id, `${n}`)))
  t.same(
    lines.map(({ message }) => [message?.seq, message?.content]),
    upTo(500).map(n => [n, `${n}`])
  )
})

t.test('two stores that write into many conversations at once, in any order, neither deadlock nor leave a hole', async t => {
  const random = seeded(7)
  const [ada, bob, cem] = await people('Ada', 'Bob', 'Cem')
  const ids = await Promise.all(upTo(30).map(async () => (await group(ada, bob, cem)).id))
  const sent = new Map<string, number>()
  const request = () =>
    upTo(20).map(() => {
      const id = ids[random(ids.length)]!
      sent.set(id, (sent.get(id) ?? 0) + 1)
      return toSend([ada, bob, cem][random(3)]!, id, 'hello')
    })

  // Round by round, so that again and again each store has a small batch in hand: large ones are few.
  for (const round of upTo(40)) {
    const lines = (await Promise.all([request(), request()].map(sendAll))).flat()
    t.equal(lines.filter(({ message }) => message).length, 40, `round ${round}: ${JSON.stringify(lines.find(({ error }) => error))}`)
  }

  for (const [id, count] of sent) {
    const { last_seq, version, seqs, versions } = await counters(id)
    t.same([last_seq, version], [count, count + 1])
    t.same(seqs.map(Number), upTo(count))
    t.same(
      versions.map(Number),
      upTo(count).map(n => n + 1)
    )
  }
})

t.test('a batch takes its conversations in the order of their ids: while it waits for one it holds no later one', async t => {
  const [ada, bob] = await people('Ada', 'Bob')
  const [low, high] = (await Promise.all([group(ada, bob), group(ada, bob)])).map(({ id }) => id).sort() as [string, string]
  const owner = openOwner(t, database.url)
  const waits = () => database.query("select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'")

  let sent: ReturnType<typeof sendAll> | undefined
  await owner.transaction(async db => {
    await sql`select from conversations where id = ${low} for update`.execute(db)
    sent = sendAll([toSend(ada, high, 'high'), toSend(ada, low, 'low')])
    await until(async () => (await waits()).length > 0, { what: 'the batch waits' })
    await sql`select from conversations where id = ${high} for update nowait`.execute(db)
  })
  t.same(
    (await sent)?.map(({ message }) => message?.seq),
    [1, 1]
  )
})

t.test('edits and deletes among sends take a version each and no seq', async t => {
  const [ada, bob] = await people('Ada', 'Bob')
  const { id } = await group(ada, bob)
  const heard = await listen(id)
  const first = (await sendAll(upTo(20).map(n => toSend(ada, id, `${n}`)))).map(({ message }) => message!)

  await Promise.all([
    ...first.slice(0, 10).map(message => edit(ada, message, 'edited')),
    ...first.slice(10, 15).map(message => remove(ada, message)),
    ...upTo(10).map(n => say(bob, id, `more ${n}`))
  ])

  const { last_seq, version, seqs } = await counters(id)
  t.equal(last_seq, 30)
  t.equal(version, 1 + 30 + 10 + 5)
  t.same(seqs.map(Number), upTo(30))
  await until(() => new Set(heard.map(({ version }) => version)).size === 45, { what: 'every version is told' })
  t.equal(heard.filter(({ type }) => type === 'message_updated').length, 10)
  t.equal(heard.filter(({ type }) => type === 'message_deleted').length, 5)
})

t.test('what is told is byte for byte what is acknowledged, one frame a line, its version in its place', async t => {
  const [ada, bob] = await people('Ada', 'Bob')
  const { id } = await group(ada, bob)
  const heard = await listen(id)
  const lines = await sendAll(upTo(3).map(n => toSend(ada, id, `line ${n}\nand "more" 😀 \u2028`, { metadata: { n } })))
  await until(() => heard.length === 3)
  for (const [index, { message }] of lines.entries()) {
    t.equal(JSON.stringify(heard[index]), JSON.stringify({ type: 'new_message', conversation_id: id, version: message!.version, message }))
  }
})

t.test('the last message and who wrote stand with the conversation', async t => {
  const [ada, bob] = await people('Ada', 'Bob')
  const { id } = await group(ada, bob)
  await sendAll([toSend(ada, id, 'one'), toSend(bob, id, 'two')])
  const last = await say(ada, id, 'three')
  const [row] = await database.query('select last_message_id, last_message_at from messaging.conversations where id = $1', [id])
  t.equal(row!.last_message_id, last.id)
  t.equal(new Date(row!.last_message_at).toISOString(), last.created_at)
  const positions = await database.query('select user_id, last_read_seq::int from messaging.participants where conversation_id = $1', [id])
  t.same(
    new Map(positions.map(p => [p.user_id, p.last_read_seq])),
    new Map([
      [ada.id, 3],
      [bob.id, 2]
    ]),
    'who writes has read up to there'
  )
})
