import { EnsureUsers, OpenUsers, type Presented, type RequestContract } from '@parley/contracts'
import type { Bus } from '@parley/nats-kit'
import { failOnLeftovers, person, profileOf, until } from '@parley/test-kit'
import type { FastifyBaseLogger } from 'fastify'
import t, { type Test } from 'tap'
import { Directory } from '../src/directory.ts'
import { SOCKETS_PER_USER_MAX } from '../src/limits.ts'
import { ADMITTED_MAX } from '../src/socket/admission.ts'
import { Hub } from '../src/socket/hub.ts'
import { Session } from '../src/socket/session.ts'
import { Turn } from '../src/socket/turn.ts'
import type { Tokens } from '../src/tokens.ts'
import { openPair } from './pair.ts'

failOnLeftovers(t)
const log = { warn() {}, debug() {}, error() {} } as unknown as FastifyBaseLogger

/** A gateway without its door, and a store that goes by when tokens were issued, as ours does. */
function setup(t: Test) {
  const ada = profileOf(person())
  const asked: { users: unknown[]; profiles: Presented[] }[] = []
  let deactivatedAt: number | undefined
  /** A token that was issued later brings a person back. */
  const isRefused = (profiles: Presented[]) => {
    const isOld = deactivatedAt !== undefined && profiles.some(({ issued_at }) => (issued_at ?? 0) <= deactivatedAt!)
    if (profiles.length > 0 && !isOld) deactivatedAt = undefined
    return isOld
  }
  const bus = {
    async request({ name }: RequestContract, { users, profiles = users }: { users: Presented[]; profiles?: Presented[] }) {
      if (name === EnsureUsers.name) {
        asked.push({ users, profiles })
        return { ensured: 0, refused: isRefused(profiles) ? [{ user_id: ada.id, org_id: ada.org_id }] : [] }
      }
      t.equal(name, OpenUsers.name)
      const presented = profiles === users ? [] : profiles
      asked.push({ users, profiles: presented })
      const refused = isRefused(presented)
      return { states: users.map(user => ({ ...user, refused, unread_total: 0, conversations: [] })) }
    },
    subscribe: () => ({ unsubscribe() {} }),
    onReconnect() {}
  } as unknown as Bus
  const hub = new Hub(bus, new Turn(), log, { held() {}, healed() {} })
  t.teardown(() => hub.close())
  const directory = new Directory(bus)
  const identity = (issued_at: number) => ({ profile: { ...ada }, issued_at, expires_at: Date.now() + 600_000 })
  /** A socket of theirs that comes with a token, and what becomes of it. */
  const come = async (issued_at: number) => {
    const { connection, client } = await openPair(t)
    const end: { ready: boolean; code: number | undefined } = { ready: false, code: undefined }
    client.on('message', () => {
      end.ready = true
    })
    client.on('close', code => {
      end.code = code
    })
    const tokens = { verify: async () => identity(issued_at) } as unknown as Tokens
    new Session({ hub, tokens, directory, commands: new Map(), log }, connection).begin(async () => 'token')
    return end
  }
  const { admission } = hub.catchUp
  return {
    asked,
    directory,
    identity,
    come,
    admission,
    /** As many come in at once as may, until they are let go. */
    storm() {
      const { promise, resolve } = Promise.withResolvers<void>()
      for (let n = 0; n < ADMITTED_MAX; n++) void admission.run(() => promise)
      return resolve
    },
    deactivate(at: number) {
      deactivatedAt = at
      directory.forget(ada.id, ada.org_id)
      hub.revoke(ada.id, ada.org_id)
    }
  }
}

t.test('who is deactivated while their socket waits to be let in is not let in', async t => {
  const { directory, identity, come, admission, storm, deactivate } = setup(t)
  await directory.ensure(identity(7))
  const end = storm()
  const late = await come(7)
  await until(() => admission.size.waiting === 1, { what: 'it waits' })
  deactivate(8)
  end()
  await until(() => late.code ?? late.ready, { what: 'it is closed or let in' })
  t.same(late, { ready: false, code: 4001 })
})

t.test('of all sockets of one person that wait to be let in only so many are as may be open', async t => {
  const { come, admission, storm } = setup(t)
  const end = storm()
  const sockets: Awaited<ReturnType<typeof come>>[] = []
  for (let n = 0; n <= SOCKETS_PER_USER_MAX; n++) sockets.push(await come(7))
  await until(() => admission.size.waiting === sockets.length, { what: 'all of them wait' })
  end()
  await until(() => sockets.every(({ code, ready }) => code ?? ready), { what: 'each is closed or let in' })
  t.same(
    sockets.map(({ ready }) => ready),
    sockets.map((_, n) => n < SOCKETS_PER_USER_MAX)
  )
})

for (const [what, tokens] of Object.entries({ 'the old one first': [7, 9], 'the new one first': [9, 7] })) {
  t.test(`who was deactivated and has a newer token is let in, also where an old one is asked of with it: ${what}`, async t => {
    const { asked, directory, identity, deactivate } = setup(t)
    deactivate(8)
    await Promise.all(tokens.map(issued_at => directory.ensure(identity(issued_at))))
    t.same(
      asked.map(({ profiles }) => profiles.map(({ issued_at }) => issued_at)),
      [[9]],
      'it is one question, with the newer'
    )
  })

  t.test(`so it is with their sockets: ${what}`, async t => {
    const { asked, come, deactivate, storm, admission } = setup(t)
    deactivate(8)
    const end = storm()
    const sockets = [await come(tokens[0]!), await come(tokens[1]!)]
    await until(() => admission.size.waiting === 2, { what: 'both wait' })
    end()
    await until(() => sockets.every(({ code, ready }) => code ?? ready), { what: 'each is closed or let in' })
    t.same(sockets, [
      { ready: true, code: undefined },
      { ready: true, code: undefined }
    ])
    t.same(
      asked.map(({ profiles }) => profiles.map(({ issued_at }) => issued_at)),
      [[9]],
      'it is one question, with the newer'
    )
  })
}
