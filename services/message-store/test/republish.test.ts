import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { AddParticipant, ChangeLog, RemoveParticipant } from '@parley/contracts'
import { ensureStreams } from '@parley/nats-kit'
import { failOnLeftovers, type Person, until } from '@parley/test-kit'
import t, { type Test } from 'tap'
import { type RepublishOptions, republish } from '../src/send/republish.ts'
import { openOwner, setup, toSend, upTo, type World } from './setup.ts'

failOnLeftovers(t)

const COMMAND = fileURLToPath(new URL('../src/republish.ts', import.meta.url))

type Change = { type: string; conversation_id: string; version: number; message?: { id: string }; participant?: { user_id: string } }

/** Runs the command as an operator does. */
async function command({ database, nats }: World, ...args: string[]): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, [COMMAND, ...args], {
    env: { PATH: process.env.PATH, DATABASE_URL: database.url, NATS_URL: nats.url },
    stdio: ['ignore', 'pipe', 'pipe']
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', text => {
      output += text
    })
  }
  const code = await new Promise<number | null>(resolve => child.once('close', resolve))
  return { code, output }
}

/** As the command does it, in the test's own process: starting one takes longer than all it does here. */
async function again(t: Test, world: World, options: Partial<RepublishOptions> = {}) {
  const store = openOwner(t, world.database.url)
  const stream = world.bus.connection.jetstream()
  return republish(store, async lines => void (await stream.publish(ChangeLog.address, lines)), { changesPerSecond: 1e6, ...options })
}

/** All that the stream holds, from its beginning. */
async function readLog({ bus }: World): Promise<Change[]> {
  const manager = await bus.connection.jetstreamManager()
  const { state } = await manager.streams.info('EVT')
  const changes: Change[] = []
  for (let seq = state.first_seq; seq <= state.last_seq && state.messages > 0; seq++) {
    const message = await manager.streams.getMessage('EVT', { seq })
    for (const line of message.string().split('\n')) changes.push(JSON.parse(line))
  }
  return changes
}

/** What somebody has in the end who reads the log from zero and goes by version: the newest of each thing. */
function stateOf(changes: readonly Change[]): Map<string, Change> {
  const state = new Map<string, Change>()
  for (const change of changes) {
    const key = `${change.conversation_id} ${change.message?.id ?? change.participant?.user_id ?? 'conversation'}`
    if ((state.get(key)?.version ?? 0) < change.version) state.set(key, change)
  }
  return new Map([...state].sort(([a], [b]) => (a < b ? -1 : 1)))
}

const versionsOf = (changes: readonly Change[], id: string): number[] =>
  changes.filter(({ conversation_id }) => conversation_id === id).map(({ version }) => version)

async function isQuiet({ database }: World): Promise<void> {
  await until(async () => (await database.query('select 1 from messaging.outbox_batches')).length === 0, { what: 'the outbox is empty' })
}

async function loseStream({ bus }: World): Promise<void> {
  await (await bus.connection.jetstreamManager()).streams.delete('EVT')
  await ensureStreams(bus.connection)
}

/** A group in which all has happened that can: said, edited, deleted, came, went. */
async function livelyGroup(world: World, [ada, bob, eve]: readonly [Person, Person, Person]): Promise<string> {
  const { id } = await world.group(ada, bob)
  const [first, second] = [await world.say(ada, id, 'first'), await world.say(bob, id, 'second')]
  await world.say(ada, id, 'third')
  await world.ask(AddParticipant, ada, { conversation_id: id, user_id: eve.id })
  await world.edit(ada, first, 'first, edited')
  await world.remove(bob, second)
  await world.say(eve, id, 'hello')
  await world.ask(RemoveParticipant, ada, { conversation_id: id, user_id: eve.id })
  return id
}

async function livelyWorld(t: Test) {
  const world = await setup(t)
  const people = await world.people('Ada', 'Bob', 'Eve')
  const ids = [await livelyGroup(world, people), await livelyGroup(world, people)].sort()
  await isQuiet(world)
  return { world, people, ids: ids as [string, string] }
}

t.test('after the stream was lost, whoever reads it from zero comes to the same state as before', async t => {
  const { world, ids } = await livelyWorld(t)
  const before = stateOf(await readLog(world))
  t.ok(before.size >= 2 * 6)
  await loseStream(world)
  t.same(await readLog(world), [])

  const { code, output } = await command(world)

  t.equal(code, 0)
  const log = await readLog(world)
  t.same([...stateOf(log)], [...before])
  t.match(output, `published again: ${log.length} changes of 2 conversations`)
  for (const id of ids) {
    const versions = versionsOf(log, id)
    t.same(
      versions,
      [...new Set(versions)].sort((a, b) => a - b),
      'each once, in their order'
    )
  }
})

t.test('nobody who listens live hears anything of it, and a second run says the same again', async t => {
  const { world, ids } = await livelyWorld(t)
  const heard = (await Promise.all(ids.map(world.listen))).flat()
  const personal: string[] = []
  world.bus.subscribe('evt.users.>', ({ subject }) => personal.push(subject))
  await loseStream(world)
  await again(t, world)
  const once = await readLog(world)
  await again(t, world)
  t.same(await readLog(world), [...once, ...once])
  t.same([heard, personal], [[], []])
})

t.test('one conversation, those after another, and what changed since a time are told alone', async t => {
  const { world, people, ids } = await livelyWorld(t)
  const [{ now }] = (await world.database.query<{ now: string }>(`select now()::timestamptz(3) as now`)) as [{ now: string }]
  const late = await world.say(people[0], ids[1], 'late')
  await isQuiet(world)
  const logAfter = async (options: Partial<RepublishOptions>) => {
    await loseStream(world)
    await again(t, world, options)
    return readLog(world)
  }

  const all = await logAfter({})
  t.same(
    await logAfter({ conversation_id: ids[0] }),
    all.filter(({ conversation_id }) => conversation_id === ids[0])
  )
  t.same(
    await logAfter({ after: ids[0] }),
    all.filter(({ conversation_id }) => conversation_id === ids[1])
  )
  t.match(await logAfter({ since: now }), [
    { type: 'new_message', conversation_id: ids[1], version: late.version, message: { id: late.id } }
  ])
})

t.test('a long conversation goes in pages, no faster than is asked, and says where a run that is ended stopped', async t => {
  const world = await setup(t)
  const [ada, bob] = await world.people('Ada', 'Bob')
  const [one, other] = [await world.group(ada, bob), await world.group(ada, bob)].map(({ id }) => id).sort() as [string, string]
  await world.sendAll([...upTo(450).map(n => toSend(ada, one, `${n}`)), toSend(ada, other, 'other')])
  await isQuiet(world)
  await loseStream(world)

  const since = Date.now()
  const stopping = new AbortController()
  const pages: number[] = []
  const stopped = await again(t, world, {
    changesPerSecond: 300,
    signal: stopping.signal,
    onProgress({ changes, conversation_id }) {
      pages.push(changes)
      if (conversation_id === one) stopping.abort()
    }
  })
  t.ok(Date.now() - since >= 1_450, `451 changes took ${Date.now() - since} ms`)
  t.same(pages, [200, 400, 450, 451])
  t.same(stopped, { conversations: 1, changes: 451, conversation_id: one }, 'the second was under way at the stop')
  t.same(
    versionsOf(await readLog(world), one),
    upTo(450).map(n => n + 1)
  )
  t.same(await again(t, world, { after: one }), { conversations: 1, changes: 1, conversation_id: other })
})

t.test('a stream that takes nothing ends it with where to go on', async t => {
  const world = await setup(t)
  const [ada, bob] = await world.people('Ada', 'Bob')
  await world.say(ada, (await world.group(ada, bob)).id, 'hello')
  await isQuiet(world)
  const manager = await world.bus.connection.jetstreamManager()
  await manager.streams.delete('EVT')
  await manager.streams.add({ name: 'OTHER', subjects: [ChangeLog.address], max_msg_size: 10 })
  const { code, output } = await command(world)
  t.equal(code, 1)
  t.match(output, /not all could be published again: /)
  t.match(output, '0 changes of 0 conversations are in the stream; nothing is done yet: run it again')
})

t.test('what makes no sense is refused with what there is', async t => {
  const world = { database: { url: 'postgres://x' }, nats: { url: 'nats://127.0.0.1:1' } } as World
  const rows = [
    [['--since', '2026-01-20T10:30:00'], /--since takes a time with its zone/],
    [['--conversation', '7'], /--conversation takes the id/],
    [['--rate', '0'], /--rate takes a number/],
    [['--all'], /--all/]
  ] as const
  await Promise.all(
    rows.map(async ([args, reason]) => {
      const { code, output } = await command(world, ...args)
      t.equal(code, 2)
      t.match(output, reason)
      t.match(output, /--since TIME +only what changed since then/)
    })
  )
})
