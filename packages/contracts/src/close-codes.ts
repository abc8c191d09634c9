/** Why the server closes a socket, and what the client then does. */
export const CLOSE = {
  going_away: { code: 1001, reason: 'going away', client: 'resumes elsewhere' },
  policy: { code: 1008, reason: 'policy violation', client: 'mends its frames' },
  frame_too_large: { code: 1009, reason: 'frame too large', client: 'mends its frames' },
  restart: { code: 1012, reason: 'restart', client: 'resumes after the delay it was given' },
  overloaded: { code: 1013, reason: 'overloaded', client: 'resumes after 5 s and jitter' },
  unauthenticated: { code: 4001, reason: 'authentication failed', client: 'stops; needs another token' },
  token_expired: { code: 4002, reason: 'token expired', client: 'renews it and resumes' },
  malformed: { code: 4003, reason: 'too many malformed frames', client: 'stops' },
  limited: { code: 4008, reason: 'rate limited', client: 'resumes after retry_after_ms' },
  no_heartbeat: { code: 4009, reason: 'no heartbeat', client: 'resumes' },
  too_slow: { code: 4010, reason: 'too slow', client: 'resumes' },
  too_many_sockets: { code: 4011, reason: 'too many sockets of one user', client: 'stops' },
  revoked: { code: 4013, reason: 'access revoked', client: 'stops' }
} as const

export type CloseReason = keyof typeof CLOSE
