import { randomUUID } from 'node:crypto'
import { EnsureUsers, OpenUsers, type Profile } from '@parley/contracts'
import { failOnLeftovers, type Person, profileOf } from '@parley/test-kit'
import t from 'tap'
import { setup, upTo } from './setup.ts'

failOnLeftovers(t)

t.test('people who come back as they were are not written again, and one who changed is', async t => {
  const { bus, people, database } = await setup(t)
  const [ada, bob] = await people('Ada', 'Bob')
  const rows = () =>
    database.query<{ id: string; written: string; display_name: string; title: string | null }>(
      'select id, xmin::text as written, display_name, title from messaging.users'
    )
  const writtenOf = async (id: string) => (await rows()).find(row => row.id === id)!
  const before = await rows()

  t.same(await bus.request(EnsureUsers, { users: [ada, bob, ada].map(profileOf) }), { ensured: 3, refused: [] })
  t.same(await rows(), before, 'as they were')

  // What a token does not say stays as it was, and is no change either.
  await bus.request(EnsureUsers, { users: [{ ...profileOf(ada), title: 'Countess' }] })
  const titled = await writtenOf(ada.id)
  t.equal(titled.title, 'Countess')
  await bus.request(EnsureUsers, { users: [ada, bob].map(profileOf) })
  t.same(await writtenOf(ada.id), titled)
  t.same(
    await writtenOf(bob.id),
    before.find(row => row.id === bob.id)
  )
})

t.test('of two profiles of one person in one question the later one stands, also where it is the one that stood before', async t => {
  const { bus, people, database } = await setup(t)
  const [ada] = await people('Ada')
  await bus.request(EnsureUsers, { users: [{ ...profileOf(ada), display_name: 'Ada L.' }, profileOf(ada)] })
  const [row] = await database.query<{ display_name: string }>('select display_name from messaging.users where id = $1', [ada.id])
  t.equal(row!.display_name, 'Ada')
})

t.test('an organization that has a new name has it even if none of its people changed', async t => {
  const { bus, people, database } = await setup(t)
  const [ada] = await people('Ada')
  await bus.request(EnsureUsers, { users: [{ ...profileOf(ada), org_name: 'Engines' }] })
  const [row] = await database.query<{ name: string }>('select name from messaging.organizations where id = $1', [ada.org_id])
  t.equal(row!.name, 'Engines')
})

t.test('who opens with a profile stands as it says once the answer is there, new or changed, and is told their conversations', async t => {
  const { bus, people, group, database } = await setup(t)
  const [ada, bob] = await people('Ada', 'Bob')
  const { id } = await group(ada, bob)
  const eve = { ...bob, id: randomUUID(), name: 'Eve', username: 'eve' }
  const open = (users: Person[], profiles?: Profile[]) =>
    bus.request(OpenUsers, { users: users.map(({ id, org_id }) => ({ user_id: id, org_id })), ...(profiles && { profiles }) })

  const { states } = await open([ada, eve, bob], [{ ...profileOf(ada), title: 'Countess' }, profileOf(eve)])
  t.same(
    states.map(state => state.conversations.map(c => c.id)),
    [[id], [], [id]]
  )
  const rows = () => database.query('select id, xmin::text as written, display_name, title from messaging.users order by display_name')
  const after = await rows()
  t.match(after, [
    { id: ada.id, title: 'Countess' },
    { id: bob.id, title: null },
    { id: eve.id, display_name: 'Eve' }
  ])
  await Promise.all(upTo(10).map(() => open([ada, eve], [{ ...profileOf(ada), title: 'Countess' }, profileOf(eve)])))
  await open([ada, bob])
  t.same(await rows(), after, 'once')
})
