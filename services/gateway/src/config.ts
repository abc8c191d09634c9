import { COMMON } from '@parley/service-kit'
import { type Static, Type } from '@sinclair/typebox'

const List = (description: string) => Type.String({ default: '', description })

export const Config = Type.Object({
  ...COMMON,
  PORT: Type.Integer({ default: 3000, minimum: 0, maximum: 65_535, description: 'The public door: REST, WebSocket and the page.' }),
  HOST: Type.String({ default: '127.0.0.1', description: 'Address of the public door; 0.0.0.0 in a container.' }),
  REDIS_URL: Type.String({ default: 'redis://127.0.0.1:6379', pattern: '^rediss?://', description: 'Redis; it may be away.' }),
  JWT_SECRET_KEY: Type.String({ default: '', description: 'Secret of HS256 tokens; 32 bytes at least in production.' }),
  JWT_JWKS_URL: Type.String({ default: '', pattern: '^(https?://.*)?$', description: 'Key set of RS256, ES256 and EdDSA tokens.' }),
  JWT_ISSUER: Type.String({ default: '', description: '`iss` that a token must have, where set.' }),
  JWT_AUDIENCE: Type.String({ default: '', description: '`aud` that a token must have, where set.' }),
  ALLOWED_ORIGINS: List('Origins that may open the socket and use CORS, besides the own one of the page; separated by commas.'),
  FRONTEND_ORIGIN: List('One more such origin.'),
  TRUSTED_PROXIES: List('Addresses or networks whose X-Forwarded-For is believed; separated by commas.'),
  DRAIN_WINDOW_MS: Type.Integer({
    default: 10_000,
    minimum: 0,
    maximum: 60_000,
    description: 'Over how long a gateway that stops sends its sockets away; 20000 sends no more than 5 % of them a second.'
  }),
  DEMO: Type.Union([Type.Literal('0'), Type.Literal('1')], {
    default: '0',
    description: '1 offers a sign-in as one of the people of a demo organization.'
  }),
  WEB_ROOT: Type.String({ default: '', description: 'Folder of the built web client; empty serves none.' })
})
export type Config = Static<typeof Config>

/**
 * Holds what no single setting can say.
 *
 * @throws Error with the reason and what to do
 */
export function checkConfig(config: Config): void {
  if (config.JWT_SECRET_KEY === '' && config.JWT_JWKS_URL === '') {
    throw new Error('no way to check tokens: set JWT_SECRET_KEY (HS256) or JWT_JWKS_URL (a key set)')
  }
  if (config.NODE_ENV !== 'production') return
  if (config.DEMO === '1') throw new Error('DEMO=1 lets anyone sign in as anyone: it is refused with NODE_ENV=production')
  if (config.JWT_SECRET_KEY !== '' && Buffer.byteLength(config.JWT_SECRET_KEY) < 32) {
    throw new Error('JWT_SECRET_KEY is shorter than 32 bytes: `openssl rand -hex 32` makes a good one')
  }
}

export const listOf = (text: string): string[] =>
  text
    .split(',')
    .map(item => item.trim())
    .filter(item => item !== '')
