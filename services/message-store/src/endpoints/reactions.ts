import { AddReaction, AppError, cleanEmoji, REACTION_KINDS_MAX, RemoveReaction } from '@parley/contracts'
import { toMessage } from '../message.ts'
import { changeMessage, type LockedMessage } from '../message-change.ts'
import { myRole } from '../queries/my-membership.ts'
import { addReaction, hasReacted, reactionKinds, removeReaction } from '../queries/reactions.ts'
import { requireLive, requireUnblocked } from '../rules.ts'
import type { Store } from '../store.ts'

/** Reactions: each person once with each emoji. */
export function reactions(app: Store): void {
  const { bus } = app

  bus.serve(AddReaction, async ({ actor, message_id, emoji }) => {
    const reaction = { emoji: cleanEmoji(emoji), user_id: actor.user_id }
    const { row } = await changeMessage(app, actor, message_id, 'message_updated', async locked => {
      requireLive(locked.message)
      if (await isThere(locked, reaction)) return
      requireUnblocked(await myRole(locked.db, locked.message.conversation_id, actor.user_id))
      const kinds = await reactionKinds(locked.db, locked.message.id)
      if (!kinds.includes(reaction.emoji) && kinds.length >= REACTION_KINDS_MAX)
        throw new AppError('too_many_reactions', `a message has ${REACTION_KINDS_MAX} kinds of reactions at most`)
      await addReaction(locked.db, locked.message, {
        ...reaction,
        org_id: actor.org_id,
        version: await locked.nextVersion(),
        at: locked.at
      })
    })
    return toMessage(row)
  })

  bus.serve(RemoveReaction, async ({ actor, message_id, emoji }) => {
    const reaction = { emoji: cleanEmoji(emoji), user_id: actor.user_id }
    const { row } = await changeMessage(app, actor, message_id, 'message_updated', async locked => {
      requireLive(locked.message)
      if (!(await isThere(locked, reaction))) return
      await removeReaction(locked.db, locked.message.id, { ...reaction, version: await locked.nextVersion(), at: locked.at })
    })
    return toMessage(row)
  })
}

const isThere = ({ db, message }: LockedMessage, reaction: { emoji: string; user_id: string }): Promise<boolean> =>
  hasReacted(db, message.id, reaction)
