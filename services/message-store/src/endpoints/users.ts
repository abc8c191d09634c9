import {
  AppError,
  EnsureUsers,
  GetMe,
  GetUser,
  ListUsers,
  type LiveState,
  metadataJson,
  OpenUsers,
  type Presented,
  UpdateMe
} from '@parley/contracts'
import type { Kysely } from '@parley/pg-kit'
import type { Tables } from '../db.ts'
import { findActiveUsers, findUsers, newsOf, readSettings, searchPeople, upsertUsers, writeSettings } from '../queries/people.ts'
import { conversationsOf } from '../queries/unread.ts'
import type { Store } from '../store.ts'

type Caller = { user_id: string; org_id: string }

/** People and organizations. */
export function users({ bus, people, store }: Store): void {
  const write = async (news: readonly Presented[]): Promise<void> => {
    if (news.length > 0) await store.transaction(db => upsertUsers(db, news))
  }

  bus.serve(EnsureUsers, async ({ users }) => {
    const { news, refused } = await store.query(db => newsOf(db, users))
    await write(news)
    return { ensured: users.length - refused.length, refused: refused.map(({ id, org_id }) => ({ user_id: id, org_id })) }
  })

  bus.serve(OpenUsers, async ({ users, profiles = [] }) => {
    const states = new Map<string, LiveState>(
      users.map(user => [user.user_id + user.org_id, { ...user, unread_total: 0, conversations: [] }])
    )
    // Both at once on one connection: who is new is in no conversation, so neither waits for the other.
    const [presented, rows] = await store.query(db =>
      Promise.all([profiles.length > 0 ? newsOf(db, profiles) : undefined, conversationsOf(db, [...states.values()])])
    )
    if (presented) await write(presented.news)
    for (const { id, org_id } of presented?.refused ?? []) states.set(id + org_id, { ...states.get(id + org_id)!, refused: true })
    for (const { user_id, org_id, id, version, unread_count, hidden } of rows) {
      const state = states.get(user_id + org_id)
      state?.conversations.push({
        id,
        version,
        unread_count,
        ...(hidden?.length && { hidden: hidden.map(([from, until]) => [from, until]) })
      })
      if (state) state.unread_total += unread_count
    }
    return { states: users.map(user => states.get(user.user_id + user.org_id)!) }
  })

  bus.serve(ListUsers, async ({ actor, q, limit }) => {
    const ids = await store.query(db => searchPeople(db, actor.org_id, q, limit))
    const found = new Map((await people.asUser(actor, db => findActiveUsers(db, actor.org_id, ids))).map(user => [user.id, user]))
    return { users: ids.map(id => found.get(id)).filter(user => user !== undefined) }
  })

  bus.serve(GetUser, ({ actor, user_id }) =>
    people.asUser(actor, async db => {
      const [user] = await findActiveUsers(db, actor.org_id, [user_id])
      if (!user) throw new AppError('user_not_found', `no person ${user_id}`)
      return user
    })
  )

  bus.serve(GetMe, ({ actor }) => people.asUser(actor, db => me(db, actor)))

  bus.serve(UpdateMe, ({ actor, settings }) =>
    people.asUser(actor, async db => {
      await writeSettings(db, actor, metadataJson(settings))
      return me(db, actor)
    })
  )
}

async function me(db: Kysely<Tables>, actor: Caller) {
  const [user] = await findUsers(db, actor.org_id, [actor.user_id])
  if (!user) throw new AppError('user_not_found', `no person ${actor.user_id}`)
  const rows = await conversationsOf(db, [actor])
  return {
    user,
    organization: user.organization,
    unread_count: rows.reduce((total, row) => total + row.unread_count, 0),
    settings: await readSettings(db, actor)
  }
}
