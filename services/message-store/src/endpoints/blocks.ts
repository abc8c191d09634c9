import { AppError, BLOCKS_MAX, BlockUser, ListBlocks, UnblockUser } from '@parley/contracts'
import type { Kysely } from '@parley/pg-kit'
import type { Tables } from '../db.ts'
import { countBlocks, deleteBlock, insertBlock, listBlocked } from '../queries/blocks.ts'
import { findUsers } from '../queries/people.ts'
import type { Store } from '../store.ts'

type Caller = { user_id: string; org_id: string }

/** Whom people do not want to hear from. */
export function blocks({ bus, people }: Store): void {
  bus.serve(BlockUser, ({ actor, user_id }) =>
    people.asUser(actor, async db => {
      const blocked_id = await requireAnother(db, actor, user_id)
      const blocked = await insertBlock(db, actor, blocked_id)
      if (blocked && (await countBlocks(db, actor)) > BLOCKS_MAX)
        throw new AppError('blocks_full', `${BLOCKS_MAX} people may be blocked at most`)
      return { blocked }
    })
  )

  bus.serve(UnblockUser, ({ actor, user_id }) =>
    people.asUser(actor, async db => ({ unblocked: await deleteBlock(db, actor, await requireAnother(db, actor, user_id)) }))
  )

  bus.serve(ListBlocks, ({ actor }) => people.asUser(actor, async db => ({ users: await listBlocked(db, actor, BLOCKS_MAX) })))
}

/** @throws AppError self_conversation, user_not_found */
async function requireAnother(db: Kysely<Tables>, actor: Caller, user_id: string): Promise<string> {
  if (user_id === actor.user_id) throw new AppError('self_conversation', 'nobody blocks themselves')
  const [user] = await findUsers(db, actor.org_id, [user_id])
  if (!user) throw new AppError('user_not_found', `no person ${user_id}`)
  return user.id
}
