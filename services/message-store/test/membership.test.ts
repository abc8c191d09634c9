import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import {
  AddParticipant,
  ChangeParticipant,
  check,
  EnsureUsers,
  GetConversation,
  GetDirectConversation,
  ListMessages,
  ListParticipants,
  Participant,
  RemoveParticipant
} from '@parley/contracts'
import { colleagues, failOnLeftovers, type Person, profileOf, until } from '@parley/test-kit'
import t from 'tap'
import { seeded, setup, toSend, upTo } from './setup.ts'

failOnLeftovers(t)

const { people, group, say, ask, sendAll, listen, bus } = await setup(t, { stores: 2 })

type Role = Participant['role']
const add = (who: Person, conversation_id: string, { id }: Pick<Person, 'id'>, role?: Role) =>
  ask(AddParticipant, who, { conversation_id, user_id: id, ...(role && { role }) })
const remove = (who: Person, conversation_id: string, { id }: Pick<Person, 'id'>) =>
  ask(RemoveParticipant, who, { conversation_id, user_id: id })
const setRole = (who: Person, conversation_id: string, { id }: Pick<Person, 'id'>, role: Role) =>
  ask(ChangeParticipant, who, { conversation_id, user_id: id, role })
const read = (who: Person, conversation_id: string) => ask(GetConversation, who, { conversation_id })
const rolesOf = async (who: Person, conversation_id: string): Promise<Record<string, Role>> => {
  const { participants } = await ask(ListParticipants, who, { conversation_id, query: { page_size: 100 } })
  return Object.fromEntries(participants.map(({ display_name, role }) => [display_name, role]))
}
/** What a person alone is told from now on. */
async function told({ id, org_id }: Person) {
  const events: { type: string; conversation_id: string; version: number; conversation?: { my: { role: Role } } }[] = []
  bus.subscribe(`evt.users.${org_id}.${id}`, ({ data }) => events.push(JSON.parse(Buffer.from(data).toString())))
  await bus.flush()
  return events
}

t.test('who is added is in, everyone is told, and a message of the system tells of it for good', async t => {
  const [ada, bob, cem] = await people('Ada', 'Bob', 'Cem')
  const { id } = await group(ada, bob)
  await say(ada, id, 'before')
  const [heard, personal] = [await listen(id), await told(cem)]

  const { participant, added } = await add(ada, id, cem, 'admin')
  t.equal(added, true)
  t.doesNotThrow(() => check(Participant, participant))
  t.match(participant, { user_id: cem.id, display_name: 'Cem', role: 'admin', is_active: true, last_read_seq: 2 })

  await until(() => heard.length === 2 && personal.length === 1, { what: 'all is told' })
  const metadata = { event: 'participant_added', user_id: cem.id, actor_id: ada.id, display_name: 'Cem' }
  const system = { seq: 2, version: 4, content: 'Ada added Cem', content_type: 'system', sender_id: ada.id, metadata }
  t.match(heard, [
    { type: 'participant_added', conversation_id: id, version: 3, participant },
    { type: 'new_message', conversation_id: id, version: 4, message: system }
  ])
  t.same((heard[0] as unknown as { participant: unknown }).participant, participant, 'the frame has what the answer has')
  const conversation = await read(cem, id)
  t.match(personal, [{ type: 'conversation_added', conversation_id: id, version: 4, conversation }])
  t.match(conversation, {
    participant_count: 3,
    last_seq: 2,
    version: 4,
    unread_count: 0,
    last_message: system,
    my: { role: 'admin' }
  })
  t.equal(conversation.participants.length, 3)
  t.equal((await say(cem, id, 'thank you')).version, 5)
})

t.test('who is in already stays as they are: no version, no message, no event', async t => {
  const [ada, bob] = await people('Ada', 'Bob')
  const { id } = await group(ada, bob)
  const before = await read(ada, id)
  t.match(await add(ada, id, bob, 'admin'), { added: false, participant: { user_id: bob.id, role: 'member' } })
  t.match(await setRole(ada, id, bob, 'member'), { user_id: bob.id, role: 'member' })
  t.same(await read(ada, id), before)
})

t.test('who is removed is out at once: no reading, no writing, one event of their own, and others are told', async t => {
  const [ada, bob, cem] = await people('Ada', 'Bob', 'Cem')
  const { id } = await group(ada, bob, cem)
  const [heard, personal] = [await listen(id), await told(bob)]
  t.same(await remove(ada, id, bob), { removed: true })

  await until(() => heard.length === 2 && personal.length === 1, { what: 'all is told' })
  t.match(heard, [
    { type: 'participant_removed', version: 2, participant: { user_id: bob.id, is_active: false } },
    {
      type: 'new_message',
      version: 3,
      message: {
        seq: 1,
        content: 'Ada removed Bob',
        content_type: 'system',
        metadata: { event: 'participant_removed', user_id: bob.id, actor_id: ada.id, display_name: 'Bob' }
      }
    }
  ])
  t.same(personal, [{ type: 'conversation_removed', conversation_id: id, version: 2 }])
  await t.rejects(read(bob, id), { code: 'not_a_participant', status: 403 })
  t.match(await sendAll([toSend(bob, id, 'still here')]), [{ error: { code: 'not_a_participant' } }])
  t.match(await read(ada, id), { participant_count: 2, last_seq: 1, version: 3 })
  t.same(await remove(ada, id, bob), { removed: false }, 'a second time answers like the first and changes nothing')
  t.match(await read(ada, id), { version: 3 })
})

t.test('a member may leave, and leaving twice answers like once', async t => {
  const [ada, bob] = await people('Ada', 'Bob')
  const { id } = await group(ada, bob)
  t.same(await remove(bob, id, bob), { removed: true })
  t.same(await remove(bob, id, bob), { removed: false })
  const { messages } = await ask(ListMessages, ada, { conversation_id: id, query: {} })
  t.match(messages, [{ content: 'Bob left', content_type: 'system', metadata: { event: 'participant_left', user_id: bob.id } }])
  t.match(await read(ada, id), { participant_count: 1, unread_count: 0, version: 3 })
})

t.test('a role changes with a version of its own and without a message', async t => {
  const [ada, bob] = await people('Ada', 'Bob')
  const { id } = await group(ada, bob)
  const heard = await listen(id)
  t.match(await setRole(ada, id, bob, 'admin'), { user_id: bob.id, role: 'admin' })
  await until(() => heard.length === 1)
  t.match(heard, [{ type: 'participant_updated', version: 2, participant: { user_id: bob.id, role: 'admin' } }])
  t.match(await read(bob, id), { version: 2, last_seq: 0, my: { role: 'admin' } })
})

t.test('members and guests decide about nobody but themselves', async t => {
  const [ada, bob, cem, gil, dan] = await people('Ada', 'Bob', 'Cem', 'Gil', 'Dan')
  const { id } = await group(ada, bob, cem)
  await add(ada, id, gil, 'guest')
  const before = await read(ada, id)
  for (const who of [bob, gil]) {
    await t.rejects(add(who, id, dan), { code: 'forbidden', status: 403 })
    await t.rejects(add(who, id, cem), { code: 'forbidden' }, 'not even of who is in already')
    await t.rejects(setRole(who, id, cem, 'admin'), { code: 'forbidden' })
    await t.rejects(setRole(who, id, who, 'owner'), { code: 'forbidden' })
    await t.rejects(remove(who, id, cem), { code: 'forbidden' })
  }
  t.equal((await read(ada, id)).version, before.version)
})

t.test('admins decide about all but owners', async t => {
  const [ada, bob, cem, dan] = await people('Ada', 'Bob', 'Cem', 'Dan')
  const { id } = await group(ada, bob, cem)
  await setRole(ada, id, bob, 'admin')
  await t.rejects(add(bob, id, dan, 'owner'), { code: 'forbidden', status: 403 })
  await t.rejects(setRole(bob, id, cem, 'owner'), { code: 'forbidden' })
  await t.rejects(setRole(bob, id, bob, 'owner'), { code: 'forbidden' })
  await t.rejects(setRole(bob, id, ada, 'member'), { code: 'forbidden' })
  await t.rejects(remove(bob, id, ada), { code: 'forbidden' })
  await add(bob, id, dan)
  await setRole(bob, id, dan, 'admin')
  await setRole(dan, id, bob, 'member')
  await remove(dan, id, cem)
  t.same(await rolesOf(ada, id), { Ada: 'owner', Bob: 'member', Dan: 'admin' })
})

t.test('strangers, other organizations and people whom nobody knows are refused as everywhere', async t => {
  const [ada, bob, eve] = await people('Ada', 'Bob', 'Eve')
  const [mallory, mate] = await people('Mallory', 'Mate')
  const { id } = await group(ada, bob)
  for (const [who, code] of [
    [eve, 'not_a_participant'],
    [mallory, 'conversation_not_found']
  ] as const) {
    await t.rejects(add(who, id, mate), { code })
    await t.rejects(setRole(who, id, bob, 'admin'), { code })
    await t.rejects(remove(who, id, bob), { code })
    await t.rejects(remove(who, id, who), { code }, 'nor can they leave where they never were')
  }
  for (const unknown of [{ id: randomUUID() }, mallory]) {
    await t.rejects(add(ada, id, unknown), { code: 'user_not_found', status: 404 })
    await t.rejects(setRole(ada, id, unknown, 'admin'), { code: 'user_not_found' })
    await t.rejects(remove(ada, id, unknown), { code: 'user_not_found' })
  }
  await t.rejects(add(ada, randomUUID(), bob), { code: 'conversation_not_found' })
  await t.rejects(setRole(ada, id, eve, 'admin'), { code: 'user_not_found' }, 'known, and not in it')
  t.match(await read(ada, id), { version: 1, participant_count: 2 })
})

t.test('a direct conversation keeps its two people', async t => {
  const [ada, bob, cem] = await people('Ada', 'Bob', 'Cem')
  const { conversation } = await ask(GetDirectConversation, ada, { user_id: bob.id })
  const { id } = conversation
  await t.rejects(add(ada, id, cem), { code: 'direct_conversation', status: 400 })
  await t.rejects(setRole(ada, id, bob, 'admin'), { code: 'direct_conversation' })
  await t.rejects(remove(ada, id, bob), { code: 'direct_conversation' })
  await t.rejects(remove(ada, id, ada), { code: 'direct_conversation' })
  t.match(await add(ada, id, bob), { added: false }, 'who is in already is')
  t.match(await read(ada, id), { version: 1, participant_count: 2 })
})

t.test('when the last owner leaves, the longest-standing admin follows, else member', async t => {
  const [ada, bob, cem, dan] = await people('Ada', 'Bob', 'Cem', 'Dan')
  const { id } = await group(ada)
  await add(ada, id, bob)
  await add(ada, id, cem, 'admin')
  await add(ada, id, dan, 'admin')
  const heard = await listen(id)
  await remove(ada, id, ada)
  t.same(await rolesOf(bob, id), { Bob: 'member', Cem: 'owner', Dan: 'admin' })
  await until(() => heard.length === 3)
  t.match(heard, [
    { type: 'participant_removed', version: 8 },
    { type: 'new_message', version: 9, message: { content: 'Ada left' } },
    { type: 'participant_updated', version: 10, participant: { user_id: cem.id, role: 'owner' } }
  ])
  await setRole(cem, id, dan, 'owner')
  await remove(cem, id, cem)
  t.same(await rolesOf(bob, id), { Bob: 'member', Dan: 'owner' }, 'another owner is there')
  await remove(dan, id, dan)
  t.same(await rolesOf(bob, id), { Bob: 'owner' })
})

t.test('the last owner cannot become less without another one', async t => {
  const [ada, bob] = await people('Ada', 'Bob')
  const { id } = await group(ada, bob)
  await t.rejects(setRole(ada, id, ada, 'member'), { code: 'forbidden' })
  await setRole(ada, id, bob, 'owner')
  await setRole(ada, id, ada, 'member')
  t.same(await rolesOf(ada, id), { Ada: 'member', Bob: 'owner' })
})

t.test('when the last person leaves, the conversation is archived, which is told as well', async t => {
  const [ada] = await people('Ada')
  const { id } = await group(ada)
  const heard = await listen(id)
  await remove(ada, id, ada)
  await until(() => heard.length === 4)
  t.match(heard, [
    { type: 'participant_removed', version: 2 },
    { type: 'new_message', version: 3 },
    { type: 'conversation_updated', version: 4, conversation: { id, status: 'archived', participant_count: 0, version: 5 } },
    { type: 'new_message', version: 5, message: { metadata: { event: 'status_changed', status: 'archived', actor_id: ada.id } } }
  ])
  await t.rejects(add(ada, id, ada), { code: 'not_a_participant' }, 'nobody is left who could let anyone in')
})

t.test('a conversation takes no more people than it may have', async t => {
  const crowd = colleagues(...upTo(1_003).map(n => `Person ${n}`))
  for (const part of [0, 500, 1_000]) await bus.request(EnsureUsers, { users: crowd.slice(part, part + 500).map(profileOf) })
  const { id } = await group(...crowd.slice(0, 1_000))
  const [owner, last, over] = [crowd[0]!, crowd[1_000]!, crowd[1_001]!]
  const personal = await told(last)
  t.match(await add(owner, id, last), { added: true })
  await until(() => personal.length === 1)
  t.same(personal, [{ type: 'conversation_added', conversation_id: id, version: 3 }], 'a large one is told without its content')
  await t.rejects(add(owner, id, over), { code: 'conversation_full', status: 409 })
  await remove(last, id, last)
  const both = await Promise.allSettled([add(owner, id, over), add(owner, id, crowd[1_002]!)])
  t.same(both.map(({ status }) => status).sort(), ['fulfilled', 'rejected'], 'one place is for one of two')
  t.equal((await read(owner, id)).participant_count, 1_001)
})

t.test('whatever happens to one person at once, there is one outcome and everyone sees the same', async t => {
  for (const seed of upTo(5)) {
    const [ada, bob, cem] = await people('Ada', 'Bob', 'Cem')
    const { id } = await group(ada, bob, cem)
    await setRole(ada, id, cem, 'admin')
    const doings = [
      () => setRole(ada, id, bob, 'admin'),
      () => remove(ada, id, bob),
      () => remove(cem, id, bob),
      () => remove(bob, id, bob),
      () => add(cem, id, bob),
      () => say(bob, id, 'me')
    ]
    const random = seeded(seed)
    const order = doings.map(doing => ({ doing, at: random(1_000) })).sort((a, b) => a.at - b.at)
    const results = await Promise.allSettled(order.map(({ doing }) => doing()))
    for (const result of results) {
      // A send that is refused says so in words of the test's own.
      if (result.status === 'rejected') t.match(result.reason.code ?? 'not_a_participant', /^(user_not_found|not_a_participant)$/)
    }
    const heardUpTo = await read(ada, id)
    const { messages } = await ask(ListMessages, ada, { conversation_id: id, query: {} })
    t.same(
      messages.map(({ seq }) => seq),
      upTo(heardUpTo.last_seq)
    )
    const comings = messages.filter(({ metadata }) => metadata.event === 'participant_added').length
    const goings = messages.filter(({ metadata }) => /^participant_(removed|left)$/.test(String(metadata.event))).length
    t.ok(goings <= comings + 1 && goings >= comings, `seed ${seed}: ${goings} goings, ${comings} comings`)
    t.equal(heardUpTo.participant_count, 3 + comings - goings)
    t.equal(heardUpTo.participants.length, heardUpTo.participant_count)
    t.equal(
      heardUpTo.participants.some(({ user_id }) => user_id === bob.id),
      goings === comings
    )
  }
})

t.test('fifty mixed doings at once leave a dense log, a right count and an owner', async t => {
  const crowd = await people(...upTo(20).map(n => `Person ${n}`))
  const [owner] = crowd as unknown as [Person]
  const { id } = await group(...crowd.slice(0, 10))
  const heard = await listen(id)
  const random = seeded(7)
  const doings = upTo(50).map(n => {
    const who = crowd[1 + random(19)]!
    if (n % 5 === 0) return say(owner, id, `${n}`)
    if (n % 5 === 1) return setRole(owner, id, who, random(2) ? 'admin' : 'member')
    if (n % 5 === 2) return remove(random(2) ? owner : who, id, who)
    return add(owner, id, who)
  })
  const results = await Promise.allSettled(doings)
  const done = results.filter(({ status }) => status === 'fulfilled').length
  for (const result of results)
    if (result.status === 'rejected') t.match(result.reason.code, /^(user_not_found|not_a_participant|unavailable)$/, String(result.reason))
  t.ok(done > 20, `${done} were done`)

  // What a busy machine has not answered in time may be done yet.
  const versionsHeard = () => [...new Set(heard.map(change => change.version))].sort((a, b) => a - b)
  const { version, last_seq, participant_count } = await until(
    async () => {
      const before = await read(owner, id)
      await delay(500)
      const { version } = await read(owner, id)
      return version === before.version && versionsHeard().length === version - 1 ? before : undefined
    },
    { timeoutMs: 30_000, what: 'every version is told' }
  )
  t.same(
    versionsHeard(),
    upTo(version - 1).map(n => n + 1),
    'every version was told, none is missing'
  )
  const { messages } = await ask(ListMessages, owner, { conversation_id: id, query: { limit: 100 } })
  t.same(
    messages.map(({ seq }) => seq),
    upTo(last_seq)
  )
  // What was told, one after the other, comes to what is in the tables.
  const present = new Set(crowd.slice(0, 10).map(({ id }) => id))
  for (const change of heard.sort((a, b) => a.version - b.version) as unknown as { type: string; participant: Participant }[]) {
    if (change.type === 'participant_added') present.add(change.participant.user_id)
    if (change.type === 'participant_removed') present.delete(change.participant.user_id)
  }
  const { participants } = await ask(ListParticipants, owner, { conversation_id: id, query: { page_size: 100 } })
  t.same([...present].sort(), participants.map(({ user_id }) => user_id).sort())
  t.equal(participant_count, present.size)
})
