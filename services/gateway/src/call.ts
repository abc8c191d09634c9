import { AppError, check, type RouteContract, refuseBadText } from '@parley/contracts'
import type { Static, TSchema } from '@sinclair/typebox'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Directory } from './directory.ts'
import { ownNames } from './source-names.ts'
import { respell } from './spellings.ts'
import type { Tokens } from './tokens.ts'

/** Who asks, as the owner of the data is told. */
export interface Actor {
  user_id: string
  org_id: string
  role: string
}

declare module 'fastify' {
  interface FastifyRequest {
    actor: Actor | undefined
  }
}

type Part<C extends RouteContract, K extends 'params' | 'query' | 'body'> = C[K] extends TSchema ? Static<C[K]> : undefined

/** A request that has passed its contract. */
export interface Call<C extends RouteContract> {
  actor: Actor
  params: Part<C, 'params'>
  query: Part<C, 'query'>
  body: Part<C, 'body'>
  request: FastifyRequest
  reply: FastifyReply
}

export type Routes = <C extends RouteContract>(contract: C, handler: (call: Call<C>) => Promise<Uint8Array | object | null>) => void

const NOBODY: Actor = { user_id: '', org_id: '', role: 'member' }

/**
 * Opens routes by their contracts: who asks is checked first, then params, query and body, by the same validators as
 * frames and requests. A handler gives an object, the bytes of a JSON reply, or null for nothing; the status is the
 * contract's first unless it sets another.
 */
export function createRoutes(door: FastifyInstance, { tokens, directory }: { tokens: Tokens; directory: Directory }): Routes {
  door.decorateRequest('actor', undefined)

  async function authenticate(request: FastifyRequest): Promise<Actor> {
    const header = request.headers.authorization
    if (!header) throw new AppError('unauthenticated', 'send a token: Authorization: Bearer <token>')
    const token = /^Bearer +(\S+)$/i.exec(header)?.[1]
    if (!token) throw new AppError('unauthenticated', 'the Authorization header is not: Bearer <token>')
    const identity = await tokens.verify(token)
    await directory.ensure(identity)
    const { profile } = identity
    return { user_id: profile.id, org_id: profile.org_id, role: profile.role }
  }

  return (contract, handler) => {
    // The first status that stands in a contract is the usual one; object keys are ordered by number, so it is the highest success.
    const status = Math.max(...Object.keys(contract.replies).map(Number))
    door.route({
      method: contract.method,
      url: `/api/v1${contract.path.replace(/\{(\w+)\}/g, ':$1')}`,
      // Before the body is read: a stranger's is not parsed.
      onRequest: async request => {
        if (!contract.public) request.actor = await authenticate(request)
      },
      handler: async (request, reply) => {
        reply.code(status)
        const answer = await handler({
          actor: request.actor ?? NOBODY,
          params: checked(contract.params, request.params),
          query: checked(contract.query, contract.query && converted(contract.query, request.query)),
          body: checked(contract.body, request.body === undefined ? {} : request.body),
          request,
          reply
        } as never)
        if (answer === null) return reply.code(204).send()
        reply.type('application/json; charset=utf-8')
        return reply.send(
          answer instanceof Uint8Array ? Buffer.from(answer.buffer, answer.byteOffset, answer.byteLength) : JSON.stringify(answer)
        )
      }
    })
  }
}

function checked(schema: TSchema | undefined, value: unknown): unknown {
  if (!schema) return undefined
  const named = ownNames(schema, value)
  check(schema, named)
  respell(schema, named)
  return named
}

/** A query string has only strings: those that stand for whole numbers become numbers, nothing else is changed. */
function converted(schema: TSchema, query: unknown): object {
  refuseBadText(query)
  const given = ownNames(schema, query) as Record<string, unknown>
  return Object.fromEntries(
    Object.entries(given).map(([name, value]) => {
      const isNumber = schema.properties?.[name]?.type === 'integer' && typeof value === 'string' && /^-?\d{1,15}$/.test(value)
      return [name, isNumber ? Number(value) : value]
    })
  )
}
