import { type Static, type TSchema, Type } from '@sinclair/typebox'

export const Id = Type.String({ format: 'uuid', maxLength: 36 })
export const Time = Type.String({ format: 'date-time', maxLength: 40, description: 'RFC 3339, UTC, with milliseconds.' })
export const Nullable = <S extends TSchema>(schema: S) => Type.Union([schema, Type.Null()])
/** One of a few words. */
export const OneOf = <V extends string[]>(...values: [...V]) =>
  Type.Unsafe<V[number]>(
    Type.Union(
      values.map(value => Type.Literal(value)),
      { description: `must be one of ${values.join(', ')}` }
    )
  )

export const Seq = Type.Integer({
  minimum: 1,
  maximum: Number.MAX_SAFE_INTEGER,
  description: 'Place in the conversation: 1, 2, 3 … without holes.'
})
export const Version = Type.Integer({
  minimum: 0,
  maximum: Number.MAX_SAFE_INTEGER,
  description: 'Number of a lasting change of the conversation: 1, 2, 3 … without holes.'
})
export const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })

export const strict = { additionalProperties: false } as const

/** Who asks; made by the gateway from a checked token, never taken from a body. */
export const Actor = Type.Object({ user_id: Id, org_id: Id, role: Type.String({ maxLength: 20 }) })
export type Actor = Static<typeof Actor>
