import { randomUUID } from 'node:crypto'
import { AddParticipant, ChangeParticipant, GetConversation, RemoveParticipant } from '@parley/contracts'
import { DIES_AFTER_COMMIT, failOnLeftovers, freshDatabase, type Person, startStore, startTestNats, until } from '@parley/test-kit'
import t from 'tap'
import { openBus, openStore, worldOf } from './setup.ts'

failOnLeftovers(t)

const [database, nats] = await Promise.all([freshDatabase(t), startTestNats(t)])
const world = worldOf(database, nats, [], await openBus(t, nats.url))
const open = () => openStore(t, { databaseUrl: database.url, natsUrl: nats.url })
const rows = () => database.query<{ kind: string }>('select kind from messaging.outbox_batches')
const isEmpty = () => until(async () => (await rows()).length === 0, { timeoutMs: 15_000, what: 'the outbox is empty' })

async function told({ id, org_id }: Person) {
  const events: { type: string; conversation_id: string; version: number; conversation?: unknown }[] = []
  world.bus.subscribe(`evt.users.${org_id}.${id}`, ({ data }) => events.push(JSON.parse(Buffer.from(data).toString())))
  await world.bus.flush()
  return events
}

/** The versions that were told, in their order, whatever came twice. */
const byVersion = <C extends { version: number }>(changes: readonly C[]): C[] => [
  ...new Map(changes.map(change => [change.version, change])).values()
]

t.test('a store that is killed between the commit and the telling of a change of membership loses no event', async t => {
  const first = await open()
  const [ada, bob, cem] = await world.people('Ada', 'Bob', 'Cem')
  const { id } = await world.group(ada, bob)
  await isEmpty()
  await first.close()
  const [heard, personal] = [await world.listen(id), await told(cem)]
  const doomed = await startStore(t, { databaseUrl: database.url, natsUrl: nats.url, env: { NODE_OPTIONS: DIES_AFTER_COMMIT } })

  const unanswered = world.ask(AddParticipant, ada, { conversation_id: id, user_id: cem.id })
  unanswered.catch(() => {})
  t.equal((await doomed.exited).signal, 'SIGKILL')
  await t.rejects(unanswered, { code: 'unavailable' }, 'nobody was told that it is done')
  t.same(await rows(), [{ kind: 'conversation_changed' }], 'it is committed, and what is to be told is left')
  t.same([heard, personal], [[], []])

  const second = await open()
  await until(() => heard.length >= 2 && personal.length >= 1, { what: 'all is told' })
  await isEmpty()
  t.match(byVersion(heard), [
    { type: 'participant_added', conversation_id: id, version: 2, participant: { user_id: cem.id, is_active: true } },
    { type: 'new_message', version: 3, message: { content: 'Ada added Cem', content_type: 'system', seq: 1 } }
  ])
  const conversation = await world.ask(GetConversation, cem, { conversation_id: id })
  t.same(personal[0], { type: 'conversation_added', conversation_id: id, version: 3, conversation })
  t.match(await world.ask(AddParticipant, ada, { conversation_id: id, user_id: cem.id }), { added: false }, 'the retry finds what stands')
  await second.close()
})

t.test('what is told late is told as it is then: what was passed by a later change is left to that one', async t => {
  const store = await open()
  const [ada, bob, cem] = await world.people('Ada', 'Bob', 'Cem')
  const { id } = await world.group(ada, bob)
  await world.ask(AddParticipant, ada, { conversation_id: id, user_id: cem.id })
  await world.ask(ChangeParticipant, ada, { conversation_id: id, user_id: cem.id, role: 'admin' })
  await world.ask(RemoveParticipant, ada, { conversation_id: id, user_id: bob.id })
  await isEmpty()
  const [heard, personal] = [await world.listen(id), await told(bob)]

  // As a store leaves them that dies right after each of its commits.
  const leave = (versions: number[], user_ids: string[]) =>
    database.query(
      `insert into messaging.outbox_batches (id, created_at, kind, conversation_ids, versions, user_ids)
       values ($1, now() - interval '3 s', 'conversation_changed', $2, $3, $4)`,
      [randomUUID(), versions.map(() => id), versions, user_ids]
    )
  await leave([2, 3], [cem.id])
  await leave([4], [])
  await leave([5, 6], [bob.id])

  await until(() => byVersion(heard).length === 4 && personal.length > 0, { what: 'all is told' })
  await isEmpty()
  t.match(
    byVersion(heard).sort((a, b) => a.version - b.version),
    [
      { type: 'new_message', version: 3 },
      { type: 'participant_updated', version: 4, participant: { user_id: cem.id, role: 'admin' } },
      { type: 'participant_removed', version: 5, participant: { user_id: bob.id, is_active: false } },
      { type: 'new_message', version: 6 }
    ]
  )
  t.same(personal[0], { type: 'conversation_removed', conversation_id: id, version: 5 })
  await store.close()
})
