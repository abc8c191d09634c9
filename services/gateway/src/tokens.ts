import { createHash, createHmac, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto'
import { AppError, cleanName, isUuid, NAME_MAX, type Profile, TOKEN_MAX } from '@parley/contracts'
import { createRemoteJWKSet, errors, type JWTVerifyGetKey, jwtVerify } from 'jose'
import type { Config } from './config.ts'

/** A person as a checked token names them, until `expires_at` (milliseconds); `issued_at` in seconds, where it says so. */
export interface Identity {
  profile: Profile
  issued_at: number | null
  expires_at: number
}

type Claims = Record<string, unknown>

const COMPACT = /^([\w-]+)\.([\w-]+)\.([\w-]+)$/
const ASYMMETRIC = ['RS256', 'ES256', 'EdDSA']
const CLOCK_TOLERANCE_S = 30
const ROLES = ['member', 'moderator', 'admin', 'service'] as const
/** Verified tokens of a key set, for a minute: a signature costs more than a connect. */
const CACHE_MAX = 10_000
const CACHE_MS = 60_000

/** Ids of the host application that are no UUIDs become UUIDv5s in this namespace, always the same ones. */
const NAMESPACE = Buffer.from('9f1a1d1e7c5b5d0e8a5b3c0de0a7a11e', 'hex')

/** Checks tokens: HS256 by one HMAC (a general library halved the connects a second), key sets by `jose`. */
export class Tokens {
  readonly #secret: KeyObject | undefined
  readonly #keys: JWTVerifyGetKey | undefined
  readonly #issuer: string
  readonly #audience: string
  readonly #cache = new Map<string, { claims: Claims; until: number }>()

  constructor(config: Pick<Config, 'JWT_SECRET_KEY' | 'JWT_JWKS_URL' | 'JWT_ISSUER' | 'JWT_AUDIENCE'>) {
    if (config.JWT_SECRET_KEY) this.#secret = createSecretKey(Buffer.from(config.JWT_SECRET_KEY))
    if (config.JWT_JWKS_URL)
      this.#keys = createRemoteJWKSet(new URL(config.JWT_JWKS_URL), { cooldownDuration: 30_000, timeoutDuration: 3_000 })
    this.#issuer = config.JWT_ISSUER
    this.#audience = config.JWT_AUDIENCE
  }

  /** @throws AppError unauthenticated, token_expired; unavailable where the key set cannot be read */
  async verify(token: string): Promise<Identity> {
    if (token.length > TOKEN_MAX) throw invalid('the token is too long')
    // Decoding passes over foreign characters: without this a token had many spellings.
    const [, head, body, signature] = COMPACT.exec(token) ?? []
    if (!head || !body || !signature) throw invalid('the token is no JWT')
    const header = decode(head)
    // The algorithm decides between two fixed ways; a secret is never a public key, nor the other way round.
    const claims = header.alg === 'HS256' ? this.#verifySecret(header, head, body, signature) : await this.#verifyKeySet(header, token)
    return this.#toIdentity(claims)
  }

  #verifySecret(header: Claims, head: string, body: string, signature: string): Claims {
    if (!this.#secret) throw invalid('HS256 is not accepted here')
    if (header.crit !== undefined) throw invalid('the token asks for an extension')
    const expected = createHmac('sha256', this.#secret).update(`${head}.${body}`).digest()
    const given = Buffer.from(signature, 'base64url')
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) throw invalid('the signature does not fit')
    return decode(body)
  }

  async #verifyKeySet(header: Claims, token: string): Promise<Claims> {
    if (!this.#keys || typeof header.alg !== 'string' || !ASYMMETRIC.includes(header.alg)) throw invalid('the algorithm is not accepted')
    const key = createHash('sha256').update(token).digest('base64')
    const known = this.#cache.get(key)
    if (known && known.until > Date.now()) return known.claims
    try {
      // Times, issuer and audience are checked below, for both kinds alike.
      const { payload } = await jwtVerify(token, this.#keys, { algorithms: ASYMMETRIC, clockTolerance: 1e12 })
      if (this.#cache.size >= CACHE_MAX) this.#cache.delete(this.#cache.keys().next().value!)
      this.#cache.set(key, { claims: payload, until: Date.now() + CACHE_MS })
      return payload
    } catch (cause) {
      if (isKeySetAway(cause)) throw new AppError('unavailable', 'the key set cannot be read', { cause })
      throw invalid('the signature does not fit', cause)
    }
  }

  #toIdentity(claims: Claims): Identity {
    const now = Date.now() / 1_000
    const { exp, nbf, iat, iss, aud } = claims
    if (typeof exp !== 'number' || !Number.isFinite(exp) || exp > 1e11) throw invalid('exp is missing or no time')
    if (exp <= now) throw new AppError('token_expired', 'the token has expired')
    for (const time of [nbf, iat]) {
      if (time !== undefined && (typeof time !== 'number' || time > now + CLOCK_TOLERANCE_S)) throw invalid('the token is not valid yet')
    }
    if (this.#issuer && iss !== this.#issuer) throw invalid('iss is not the one expected')
    if (this.#audience && aud !== this.#audience && !(Array.isArray(aud) && aud.includes(this.#audience)))
      throw invalid('aud is not the one expected')
    return { profile: toProfile(claims), issued_at: typeof iat === 'number' ? Math.floor(iat) : null, expires_at: exp * 1_000 }
  }
}

/** The key set and not the token is at fault: no connection, no answer in time, another status than 200, no key set in it. */
function isKeySetAway(cause: unknown): boolean {
  if (cause instanceof TypeError || cause instanceof errors.JWKSTimeout || cause instanceof errors.JWKSInvalid) return true
  return cause instanceof errors.JOSEError && cause.code === errors.JOSEError.code
}

function toProfile(claims: Claims): Profile {
  const sub = required(claims, 'sub')
  const id = toUuid(sub)
  required(claims, 'name')
  const role = claims.role ?? 'member'
  if (!ROLES.some(known => known === role)) throw invalid('role is not known')
  return {
    id,
    org_id: toUuid(required(claims, 'org_id')),
    org_name: optional(claims, 'org_name', NAME_MAX),
    username: optional(claims, 'username', NAME_MAX),
    display_name: optional(claims, 'name', NAME_MAX) ?? clean(sub, 'sub', NAME_MAX) ?? id,
    title: optional(claims, 'title', NAME_MAX),
    department: optional(claims, 'department', NAME_MAX),
    avatar_url: optional(claims, 'avatar_url', 2_000),
    email: optional(claims, 'email', 320),
    role: role as Profile['role']
  }
}

/** As it stands: an id that was cleaned could become someone else's. */
function required(claims: Claims, name: string): string {
  const value = claims[name]
  if (typeof value !== 'string' || value.trim() === '' || value.length > 1_000) throw invalid(`${name} is missing`)
  clean(value, name, 1_000)
  return value
}

function optional(claims: Claims, name: string, max: number): string | null {
  const value = claims[name]
  return typeof value === 'string' ? clean(value, name, max) : null
}

/** Null where nothing of it can be kept. */
function clean(value: string, name: string, max: number): string | null {
  try {
    return cleanName(value, name, max) || null
  } catch (cause) {
    throw invalid(`${name} cannot be kept`, cause)
  }
}

/** An id as it is where it is a UUID, else a UUIDv5 of it (RFC 9562, 5.5). */
export function toUuid(id: string): string {
  if (isUuid(id)) return id.toLowerCase()
  const hash = createHash('sha1').update(NAMESPACE).update(id).digest().subarray(0, 16)
  hash[6] = (hash[6]! & 0x0f) | 0x50
  hash[8] = (hash[8]! & 0x3f) | 0x80
  const hex = hash.toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

function decode(part: string): Claims {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString())
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Claims
  } catch {
    // falls through: whatever it is, it is no token
  }
  throw invalid('the token is no JWT')
}

const invalid = (detail: string, cause?: unknown): AppError => new AppError('unauthenticated', detail, { cause })

/** Signs a token of one's own, for the demo's sign-in. */
export function signToken(claims: Claims, secret: string): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const unsigned = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`
  return `${unsigned}.${createHmac('sha256', secret).update(unsigned).digest('base64url')}`
}
