import type { Static, TSchema } from '@sinclair/typebox'
import type { ErrorCode } from './errors.ts'

/** A question over NATS that has one answer or a typed error. */
export interface RequestContract<Req extends TSchema = TSchema, Rep extends TSchema = TSchema> {
  readonly name: string
  readonly subject: string
  readonly summary: string
  readonly request: Req
  readonly reply: Rep
  readonly errors: readonly ErrorCode[]
  /** How long the caller waits before it answers `unavailable`. */
  readonly timeoutMs: number
}

/** Something that happened. `evt.` tells of what lasts, `eph.` of what may be lost, `log.` is kept in a stream. */
export interface EventContract<Address extends string = string, P extends TSchema = TSchema> {
  readonly address: Address
  readonly name: string
  readonly summary: string
  readonly payload: P
  subject(keys: Keys<Address>): string
}

type Keys<A extends string> = A extends `${string}{${infer K}}${infer Rest}` ? { [key in K]: string } & Keys<Rest> : unknown

/** A call over HTTP, described once for the gateway and for OpenAPI. */
export interface RouteContract {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Below `/api/v1`, parameters as `{id}`. */
  readonly path: string
  readonly summary: string
  readonly tag: string
  readonly public?: boolean
  /** It stands at the root as well. */
  readonly atRoot?: boolean
  /** What it answers where that is no JSON. */
  readonly media?: string
  /** Kept for clients of a source design; others have a better way. */
  readonly deprecated?: boolean
  readonly params?: TSchema
  readonly query?: TSchema
  readonly body?: TSchema
  readonly replies: Readonly<Record<number, TSchema | null>>
  readonly errors: readonly ErrorCode[]
}

/** A frame on the socket. */
export interface FrameContract<S extends TSchema = TSchema> {
  readonly type: string
  readonly from: 'client' | 'server'
  readonly summary: string
  readonly schema: S
}

export const requests = new Map<string, RequestContract>()
export const events = new Map<string, EventContract>()
export const routes = new Map<string, RouteContract>()
export const frames = new Map<string, FrameContract>()

function register<C>(registry: Map<string, C>, key: string, contract: C): void {
  if (registry.has(key)) throw new Error(`two contracts are called ${key}`)
  registry.set(key, contract)
}

export function defineRequest<Req extends TSchema, Rep extends TSchema>(
  name: string,
  { timeoutMs = 2_000, errors = [], ...rest }: { summary: string; request: Req; reply: Rep; errors?: ErrorCode[]; timeoutMs?: number }
): RequestContract<Req, Rep> {
  const contract = Object.freeze({ name, subject: `req.${name}`, timeoutMs, errors, ...rest })
  register(requests, name, contract)
  return contract
}

export function defineEvent<const A extends string, P extends TSchema>(
  address: A,
  rest: { name: string; summary: string; payload: P }
): EventContract<A, P> {
  const parts = address.split('.')
  const contract = Object.freeze({
    address,
    ...rest,
    subject: (keys: Keys<A>) =>
      parts.map(part => (part.startsWith('{') ? (keys as Record<string, string>)[part.slice(1, -1)] : part)).join('.')
  })
  register(events as Map<string, unknown>, rest.name, contract)
  return contract
}

export function defineRoute<const C extends RouteContract>(contract: C): C {
  register(routes, `${contract.method} ${contract.path}`, contract)
  return Object.freeze(contract)
}

export function defineFrame<S extends TSchema>(contract: FrameContract<S>): FrameContract<S> {
  register(frames, `${contract.from} ${contract.type}`, contract as FrameContract)
  return Object.freeze(contract)
}

export type RequestOf<C extends RequestContract> = Static<C['request']>
export type ReplyOf<C extends RequestContract> = Static<C['reply']>
export type PayloadOf<C extends EventContract> = Static<C['payload']>
