import { type Static, Type } from '@sinclair/typebox'
import { defineRequest } from './define.ts'
import { Actor, Id, Nullable, strict, Time } from './fields.ts'
import { MyMessage } from './messages.ts'

export const SEARCH_MAX = 200

const Query = {
  q: Type.String({
    minLength: 1,
    maxLength: 2 * SEARCH_MAX,
    description:
      `What to find, ${SEARCH_MAX} characters at most: words, beginnings of words, parts of long words and of what is written without ` +
      'spaces; several are all wanted, and "quoted" ones stand one after the other. Case and accents do not matter.'
  }),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, description: '20 where nothing is said.' })),
  before: Type.Optional(
    Type.String({
      format: 'uuid',
      maxLength: 36,
      code: 'invalid_cursor',
      description: '`next_before`, or the id of a message of the results: what is older.'
    })
  ),
  sender_id: Type.Optional(Id),
  from: Type.Optional(Time),
  to: Type.Optional(Time),
  has: Type.Optional(Type.Literal('attachment', { description: 'Images, files and audio alone.' }))
}

export const ConversationSearchQuery = Type.Object(Query, strict)
export const SearchQuery = Type.Object({ ...Query, conversation_id: Type.Optional(Id) }, strict)
export type SearchQuery = Static<typeof SearchQuery>

export const SearchResult = Type.Object(
  {
    message: MyMessage,
    highlights: Type.Array(
      Type.Object({
        text: Type.String({ description: 'A piece of the content, as it was written: text, never HTML.' }),
        ranges: Type.Array(Type.Tuple([Type.Integer({ minimum: 0 }), Type.Integer({ minimum: 0 })]), {
          description: 'What was found in it, from one UTF-16 unit to before another, in order and apart from each other.'
        })
      })
    ),
    rank: Type.Number({
      minimum: 0,
      maximum: 1,
      description: 'How well it fits: 1 where every word stands there as it was asked, less for stems, beginnings and parts.'
    })
  },
  { $id: 'SearchResult' }
)
export type SearchResult = Static<typeof SearchResult>

export const SearchResults = Type.Object(
  {
    results: Type.Array(SearchResult, {
      description: 'Newest first, whatever their rank: so that a page stays what it was while others write.'
    }),
    has_more: Type.Boolean({
      description: 'There may be more. A search that takes long stops early, also with fewer results than asked for.'
    }),
    next_before: Nullable(
      Type.String({ format: 'uuid', maxLength: 36, description: '`before` of the next page; null where there is none.' })
    )
  },
  { $id: 'SearchResults' }
)

export const SearchMessages = defineRequest('messages.search', {
  summary: "Find messages in the caller's conversations, or in one of them.",
  request: Type.Object({ actor: Actor, query: SearchQuery }),
  reply: SearchResults,
  errors: ['conversation_not_found', 'not_a_participant', 'invalid_cursor', 'invalid_text'],
  timeoutMs: 5_000
})
