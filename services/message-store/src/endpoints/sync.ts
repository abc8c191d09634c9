import { AppError, GetChanges, GetHeads, HealConversation, Sync } from '@parley/contracts'
import { CHANGES_MAX, collectChanges, collectMyChanges, OBJECTS_MAX } from '../changes.ts'
import { firstMembershipChange, type Since } from '../queries/changed.ts'
import { getConversations } from '../queries/conversations.ts'
import { headsOf, myHeads } from '../queries/heads.ts'
import { findMembership } from '../queries/membership.ts'
import { requireParticipant } from '../rules.ts'
import type { Store } from '../store.ts'

/** How many conversations a client hears of at once that it did not know. */
const ADDED_MAX = 50
/** Small enough to reach a slow reader in steps that its socket's backlog has room for. */
const ANSWER_MAX_BYTES = 512 * 1024

/** What was missed: the same answer for a gateway, a socket that comes back, and a client that asks. */
export function sync({ bus, people, store }: Store): void {
  const maxBytes = () => Math.min(ANSWER_MAX_BYTES, bus.maxPayload / 2)

  bus.serve(GetChanges, ({ actor, conversation_id, query: { since, limit = CHANGES_MAX } }) =>
    people.asUser(
      actor,
      async db => {
        const { version } = requireParticipant(await findMembership(db, actor, conversation_id), conversation_id)
        if (since > version) {
          throw new AppError('invalid_cursor', `since is newer than the conversation, which is at version ${version}`, {
            errors: [{ path: '/since', message: `must be at most ${version}` }]
          })
        }
        const { changes } = await collectMyChanges(db, [{ conversation_id, since, version }], {
          user_id: actor.user_id,
          limit,
          maxBytes: maxBytes()
        })
        return changes[0]!
      },
      { snapshot: true }
    )
  )

  bus.serve(HealConversation, ({ conversation_id, since }) =>
    store.transaction(
      async db => {
        const [head] = await headsOf(db, [conversation_id])
        if (!head) throw new AppError('conversation_not_found', `no conversation ${conversation_id}`)
        // It goes to everyone who is live there: it ends where somebody comes or leaves, so that a gateway can tell whom the
        // part before concerns, and whom the part after.
        const version = (await firstMembershipChange(db, conversation_id, since)) ?? head.version
        const { changes } = await collectChanges(db, [{ conversation_id, since, version }], {
          user_id: null,
          limit: CHANGES_MAX,
          maxBytes: maxBytes()
        })
        return { ...changes[0]!, has_more: changes[0]!.version < head.version }
      },
      { snapshot: true }
    )
  )

  bus.serve(GetHeads, async ({ conversation_ids }) => {
    const heads = await store.query(db => headsOf(db, conversation_ids))
    return { versions: heads.map(({ id, version }): [string, number] => [id, version]) }
  })

  bus.serve(Sync, ({ actor, cursors, added: wantsAdded }) =>
    people.asUser(
      actor,
      async db => {
        const held = new Map(Object.entries(cursors).map(([id, version]) => [id.toLowerCase(), version]))
        const heads = new Map((await myHeads(db, actor)).map(({ id, version }) => [id, version]))
        const removed = [...held.keys()].filter(id => !heads.has(id))
        const reset = [...held].filter(([id, since]) => since > (heads.get(id) ?? since)).map(([id]) => id)
        const stale: Since[] = []
        for (const [conversation_id, since] of held) {
          const version = heads.get(conversation_id)
          if (version !== undefined && version > since) stale.push({ conversation_id, since, version })
        }
        const { changes, objects, complete } = await (wantsAdded ? collectMyChanges : collectChanges)(db, stale, {
          user_id: actor.user_id,
          limit: CHANGES_MAX,
          maxBytes: maxBytes()
        })
        const unknown = wantsAdded && complete ? [...heads.keys()].filter(id => !held.has(id)) : []
        const added = await getConversations(db, actor, unknown.slice(0, Math.max(0, Math.min(ADDED_MAX, OBJECTS_MAX - objects))))
        return { conversations: changes, added, removed, reset, has_more: !complete || unknown.length > added.length }
      },
      { snapshot: true }
    )
  )
}
