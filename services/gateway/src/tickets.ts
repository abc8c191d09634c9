import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'
import { AppError } from '@parley/contracts'
import type { Redis } from 'ioredis'

export const TICKET_SECONDS = 30

/**
 * Tickets for one connect, so that no token stands in a URL. Redis has each for 30 s and gives it once; what it holds is
 * sealed with the ticket itself, so neither Redis nor its log ever shows a token.
 */
export class Tickets {
  readonly #redis: Redis

  constructor(redis: Redis) {
    this.#redis = redis
  }

  /** @throws AppError unavailable where Redis is away */
  async issue(token: string): Promise<string> {
    const ticket = randomBytes(32)
    const iv = randomBytes(12)
    const cipher = createCipheriv('aes-256-gcm', ticket, iv)
    const sealed = Buffer.concat([iv, cipher.update(token), cipher.final(), cipher.getAuthTag()])
    await this.#redis.set(keyOf(ticket), sealed.toString('base64'), 'EX', TICKET_SECONDS).catch(away)
    return ticket.toString('base64url')
  }

  /**
   * Takes a ticket: a second take finds nothing.
   *
   * @returns the token that it was issued for
   * @throws AppError unauthenticated, unavailable
   */
  async take(text: string): Promise<string> {
    const ticket = Buffer.from(text, 'base64url')
    const value = ticket.length === 32 ? await this.#redis.getdel(keyOf(ticket)).catch(away) : null
    if (!value) throw new AppError('unauthenticated', 'the ticket is not known, or used, or too old')
    const sealed = Buffer.from(value, 'base64')
    const decipher = createDecipheriv('aes-256-gcm', ticket, sealed.subarray(0, 12))
    decipher.setAuthTag(sealed.subarray(-16))
    return Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()]).toString()
  }
}

const keyOf = (ticket: Buffer): string => `ticket:${createHash('sha256').update(ticket).digest('base64url')}`

function away(cause: unknown): never {
  throw new AppError('unavailable', 'tickets cannot be had now; authenticate by a first frame', { cause })
}
