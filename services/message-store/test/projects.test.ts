import { randomUUID } from 'node:crypto'
import {
  DeleteProjectMember,
  GetConversation,
  ListMessages,
  ListParticipants,
  PutProject,
  PutProjectMember,
  RemoveParticipant
} from '@parley/contracts'
import { sql } from '@parley/pg-kit'
import { failOnLeftovers, type Person, until } from '@parley/test-kit'
import t from 'tap'
import { holdProject } from '../src/queries/projects.ts'
import { openOwner, setup, upTo } from './setup.ts'

failOnLeftovers(t)
const { ask, people, group, say, listen, bus, database } = await setup(t)

interface Scene {
  host: Person
  ada: Person
  bob: Person
  cem: Person
  project_id: string
  come(who: Person): Promise<boolean>
  go(who: Person): Promise<boolean>
  /** A group that is made a conversation of the project. */
  talk(...people: Person[]): Promise<string>
}

async function scene(): Promise<Scene> {
  const [named, ada, bob, cem] = await people('Host', 'Ada', 'Bob', 'Cem')
  const host: Person = { ...named, role: 'service' }
  const project_id = randomUUID()
  await ask(PutProject, host, { project_id, name: 'Line 3' })
  return {
    host,
    ada,
    bob,
    cem,
    project_id,
    come: async ({ id }) => (await ask(PutProjectMember, host, { project_id, user_id: id })).added,
    go: async ({ id }) => (await ask(DeleteProjectMember, host, { project_id, user_id: id })).removed,
    async talk(...people) {
      const { id } = await group(...people)
      await database.query("update messaging.conversations set type = 'project', project_id = $2, history = 'all' where id = $1", [
        id,
        project_id
      ])
      return id
    }
  }
}

const namesIn = async (who: Person, conversation_id: string): Promise<Record<string, string>> => {
  const { participants } = await ask(ListParticipants, who, { conversation_id, query: {} })
  return Object.fromEntries(participants.map(({ display_name, role }) => [display_name, role]))
}

t.test('who comes into a project is in each of its conversations, told as any coming is, and in no other', async t => {
  const { host, ada, bob, cem, come, talk } = await scene()
  const [one, two] = [await talk(ada, bob), await talk(ada)]
  const { id: aside } = await group(ada, bob)
  const before = await say(ada, one, 'said before')
  const heard = await listen(one)
  const personal: { type: string; conversation_id: string }[] = []
  bus.subscribe(`evt.users.${cem.org_id}.${cem.id}`, ({ data }) => personal.push(JSON.parse(Buffer.from(data).toString())))
  await bus.flush()

  t.equal(await come(cem), true)
  await until(() => heard.length === 2 && personal.length === 2, { what: 'all is told' })
  t.match(heard, [
    { type: 'participant_added', conversation_id: one, version: 3, participant: { user_id: cem.id, role: 'member', is_active: true } },
    {
      type: 'new_message',
      version: 4,
      message: { content: 'Host added Cem', content_type: 'system', sender_id: host.id, metadata: { event: 'participant_added' } }
    }
  ])
  t.same(personal.map(({ type, conversation_id }) => `${type} ${conversation_id}`).sort(), [
    ...[one, two].map(id => `conversation_added ${id}`).sort()
  ])
  t.match(await ask(GetConversation, cem, { conversation_id: two }), { participant_count: 2, unread_count: 0, my: { role: 'member' } })
  const { messages } = await ask(ListMessages, cem, { conversation_id: one, query: {} })
  t.equal(messages[0]!.id, before.id, 'its history is shared')
  await t.rejects(ask(GetConversation, cem, { conversation_id: aside }), { code: 'not_a_participant' })
})

t.test('who is a member already stays as they are, also where they have left a conversation by themselves', async t => {
  const { ada, cem, come, talk } = await scene()
  const id = await talk(ada)
  t.equal(await come(cem), true)
  await ask(RemoveParticipant, cem, { conversation_id: id, user_id: cem.id })
  const { version } = await ask(GetConversation, ada, { conversation_id: id })
  t.equal(await come(cem), false)
  t.same(await namesIn(ada, id), { Ada: 'owner' })
  t.equal((await ask(GetConversation, ada, { conversation_id: id })).version, version)
})

t.test('who was in a conversation before stays as they were there', async t => {
  const { ada, bob, come, talk } = await scene()
  const id = await talk(ada, bob)
  t.equal(await come(ada), true)
  t.equal(await come(bob), true)
  t.match(await ask(GetConversation, ada, { conversation_id: id }), { version: 1, participant_count: 2, my: { role: 'owner' } })
})

t.test('who goes leaves all of them, and where they were the last owner another follows', async t => {
  const { ada, bob, cem, come, go, talk } = await scene()
  const [one, two] = [await talk(ada, bob), await talk(bob, cem)]
  for (const who of [ada, bob, cem]) await come(who)
  const heard = await listen(one)
  t.equal(await go(ada), true)
  await until(() => heard.length === 3)
  t.match(heard, [
    { type: 'participant_removed', participant: { user_id: ada.id } },
    { type: 'new_message', message: { content: 'Host removed Ada', metadata: { event: 'participant_removed', user_id: ada.id } } },
    { type: 'participant_updated', participant: { user_id: bob.id, role: 'owner' } }
  ])
  t.same(await namesIn(bob, one), { Bob: 'owner', Cem: 'member' })
  t.same(await namesIn(bob, two), { Bob: 'owner', Cem: 'member' })
  t.equal(await go(ada), false, 'a second time there is nothing to do')
  await t.rejects(ask(GetConversation, ada, { conversation_id: one }), { code: 'not_a_participant' })
})

t.test('who comes into a conversation that everybody has left owns it', async t => {
  const { ada, cem, come, go, talk } = await scene()
  const id = await talk(ada)
  await come(ada)
  await go(ada)
  t.equal(await come(cem), true)
  t.same(await namesIn(cem, id), { Cem: 'owner' })
  await come(ada)
  t.same(await namesIn(cem, id), { Cem: 'owner', Ada: 'member' })
})

t.test('what a call that broke off has done is finished by the next one', async t => {
  const { ada, cem, project_id, come, go, talk } = await scene()
  const ids = [await talk(ada), await talk(ada), await talk(ada)].sort()
  // One conversation in the middle cannot be changed: what comes after it is not reached, and the membership is as it was.
  await database.query('update messaging.conversations set participant_count = 1001 where id = $1', [ids[1]])
  await t.rejects(come(cem), { code: 'conversation_full' })
  t.same(Object.keys(await namesIn(ada, ids[0]!)), ['Ada', 'Cem'])
  t.same(Object.keys(await namesIn(ada, ids[2]!)), ['Ada'])
  t.same(await database.query('select 1 from messaging.project_members where project_id = $1', [project_id]), [])

  await database.query('update messaging.conversations set participant_count = 1 where id = $1', [ids[1]])
  t.equal(await come(cem), true)
  for (const id of ids) t.same(Object.keys(await namesIn(ada, id)), ['Ada', 'Cem'])
  t.match(await ask(GetConversation, ada, { conversation_id: ids[0]! }), { version: 3 }, 'whoever was in is not let in again')
  t.equal(await go(cem), true)
})

t.test('coming and going at once, as often as one likes, ends in one of the two everywhere', async t => {
  const { ada, cem, project_id, come, go, talk } = await scene()
  const ids = [await talk(ada), await talk(ada)]
  for (const round of upTo(5)) {
    await Promise.all([come(cem), go(cem), come(cem), go(cem)])
    const isMember = (await database.query('select 1 from messaging.project_members where project_id = $1', [project_id])).length === 1
    for (const id of ids) t.equal('Cem' in (await namesIn(ada, id)), isMember, `round ${round}`)
  }
})

t.test('a conversation that is made while somebody comes has them: who makes it holds the project', async t => {
  const { ada, cem, project_id, come } = await scene()
  const { id } = await group(ada)
  let coming: Promise<boolean> | undefined
  await openOwner(t, database.url).transaction(async db => {
    await holdProject(db, ada.org_id, project_id)
    coming = come(cem)
    await until(
      async () =>
        (await database.query("select 1 from pg_stat_activity where wait_event_type = 'Lock' and query like '%projects%no key update%'"))
          .length === 1,
      { what: 'the coming waits' }
    )
    await sql`update conversations set type = 'project', project_id = ${project_id} where id = ${id}`.execute(db)
  })
  t.equal(await coming, true)
  t.same(Object.keys(await namesIn(ada, id)), ['Ada', 'Cem'])
})
