import { CONTENT_MAX, FRAME_MAX_BYTES, type Limits } from '@parley/contracts'

/** What clients are told in `/config` and `ready`, so that they need not know it. Null: not limited. */
export const LIMITS: Limits = {
  content_max: CONTENT_MAX,
  file_max_bytes: 10 * 1024 * 1024,
  files_per_message: 5,
  file_types: [],
  frame_max_bytes: FRAME_MAX_BYTES,
  rates: { messages: null, uploads: null, searches: null, api: null, connects: null }
}

/** Two of them unanswered end a socket: who is gone without a word is noticed within three, a minute. */
export const HEARTBEAT_INTERVAL_MS = 20_000
export const RECONNECT_MAX_JITTER_MS = 5_000
export const SOCKETS_PER_USER_MAX = 20
export const AUTH_WITHIN_MS = 5_000
