import { COMMON } from '@parley/service-kit'
import { type Static, Type } from '@sinclair/typebox'

export const Config = Type.Object({
  ...COMMON,
  DATABASE_URL: Type.String({ pattern: '^postgres(ql)?://', description: 'PostgreSQL 18 or newer, as the owner of the schema.' }),
  DATABASE_POOL_MAX: Type.Integer({ default: 10, minimum: 2, maximum: 200, description: 'Connections that answer people, per process.' }),
  EDIT_WINDOW_SECONDS: Type.Integer({
    default: 0,
    minimum: 0,
    maximum: 31_536_000,
    description: 'How long after sending a message may be edited; 0 is for ever.'
  }),
  SEARCH_INDEX: Type.Union([Type.Literal('0'), Type.Literal('1')], {
    default: '1',
    description: '0: this process leaves it to others to fill the search index. One at least has to.'
  })
})
export type Config = Static<typeof Config>
