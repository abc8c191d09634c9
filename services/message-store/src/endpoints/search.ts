import { AppError, cleanText, SEARCH_MAX, SearchMessages } from '@parley/contracts'
import { findMembership } from '../queries/membership.ts'
import { requireParticipant } from '../rules.ts'
import { CommonLexemes } from '../search/common.ts'
import { findMessages } from '../search/find.ts'
import { Lanes } from '../search/lanes.ts'
import { parseQuery } from '../search/query.ts'
import type { Store } from '../store.ts'

const LIMIT = 20
/** Searches at once, of the connections that answer people: what is slow must not hold up what is quick. */
const AT_ONCE = 3
const WAITING_MAX = 100

/** What one finds messages with. */
export function search({ bus, people, store, log }: Store): void {
  const lanes = new Lanes(AT_ONCE, WAITING_MAX)
  const common = new CommonLexemes(store, log)
  bus.serve(SearchMessages, async ({ actor, query }) => {
    const terms = parseQuery(cleanQuery(query.q))
    const { conversation_id } = query
    const work = () =>
      people.asUser(
        actor,
        async db => {
          if (conversation_id !== undefined) requireParticipant(await findMembership(db, actor, conversation_id), conversation_id)
          return findMessages(db, {
            user_id: actor.user_id,
            conversation_id,
            terms,
            common: common.known,
            query,
            limit: query.limit ?? LIMIT,
            maxBytes: bus.maxPayload / 2
          })
        },
        { snapshot: true }
      )
    return lanes.run(work)
  })
}

function cleanQuery(q: string): string {
  const clean = cleanText(q, 'q')
  const refuse = (message: string): never => {
    throw new AppError('invalid_request', `q ${message}`, { errors: [{ path: '/q', message }] })
  }
  if (clean === '') refuse('must not be blank')
  if (clean.length > SEARCH_MAX && Array.from(clean).length > SEARCH_MAX) refuse(`must have ${SEARCH_MAX} characters at most`)
  return clean
}
