import { EnsureUsers } from '@parley/contracts'
import { failOnLeftovers, profileOf } from '@parley/test-kit'
import t from 'tap'
import { setup } from './setup.ts'

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

  t.same(await bus.request(EnsureUsers, { users: [ada, bob, ada].map(profileOf) }), { ensured: 3 })
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
