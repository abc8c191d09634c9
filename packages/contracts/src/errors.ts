/**
 * Every error a caller can meet, by its stable code. Callers test the code; the text is for people and may change.
 * `retryable` says whether the same call may succeed later; `ws_code` goes into the `error` frame beside the code.
 */
export const ERRORS = {
  invalid_request: { status: 400, title: 'The request does not fit its contract', retryable: false },
  invalid_json: { status: 400, title: 'The body is not JSON', retryable: false },
  invalid_text: { status: 400, title: 'A text contains NUL or a lone surrogate', retryable: false },
  invalid_id: { status: 400, title: 'An id is not a UUID', retryable: false },
  invalid_cursor: { status: 400, title: 'The cursor is no place in this conversation', retryable: false },
  invalid_reply: { status: 400, title: 'The message replied to is not in this conversation', retryable: false },
  invalid_frame: { status: 400, title: 'The frame does not fit its contract', retryable: false, ws_code: 4003 },
  unknown_field: { status: 400, title: 'A field is not known', retryable: false },
  invalid_emoji: { status: 400, title: 'Not one emoji', retryable: false },
  content_empty: { status: 400, title: 'The content is empty', retryable: false },
  content_too_long: { status: 400, title: 'The content is too long', retryable: false },
  self_conversation: { status: 400, title: 'A conversation with oneself', retryable: false },
  direct_conversation: { status: 400, title: 'Not possible in a direct conversation', retryable: false },
  unauthenticated: { status: 401, title: 'No valid token', retryable: false, ws_code: 4001 },
  token_expired: { status: 401, title: 'The token has expired', retryable: false, ws_code: 4002 },
  forbidden: { status: 403, title: 'Not allowed', retryable: false },
  not_a_participant: { status: 403, title: 'Not a participant of this conversation', retryable: false },
  not_the_sender: { status: 403, title: 'Only the sender may do this', retryable: false },
  conversation_locked: { status: 403, title: 'The conversation is locked', retryable: false },
  conversation_archived: { status: 403, title: 'The conversation is archived', retryable: false },
  blocked: { status: 403, title: 'One of the two has blocked the other', retryable: false },
  read_only: { status: 403, title: 'Only owners and admins write here', retryable: false },
  edit_window_passed: { status: 403, title: 'Too late to edit', retryable: false },
  foreign_origin: { status: 403, title: 'This origin may not open a socket', retryable: false },
  not_found: { status: 404, title: 'Not found', retryable: false },
  conversation_not_found: { status: 404, title: 'No such conversation', retryable: false, ws_code: 4004 },
  message_not_found: { status: 404, title: 'No such message', retryable: false },
  user_not_found: { status: 404, title: 'No such person', retryable: false },
  project_not_found: { status: 404, title: 'No such project', retryable: false },
  job_not_found: { status: 404, title: 'No such job', retryable: false },
  attachment_not_found: { status: 404, title: 'No such attachment', retryable: false },
  method_not_allowed: { status: 405, title: 'Method not allowed', retryable: false },
  message_deleted: { status: 409, title: 'The message is deleted', retryable: false },
  idempotency_mismatch: { status: 409, title: 'This client_message_id was used with other content', retryable: false },
  conversation_full: { status: 409, title: 'The conversation has as many people as it may', retryable: false },
  blocks_full: { status: 409, title: 'As many people are blocked as may be', retryable: false },
  scheduled_full: { status: 409, title: 'As many messages are scheduled as may be', retryable: false },
  too_many_reactions: { status: 409, title: 'The message has as many kinds of reactions as it may', retryable: false },
  too_many_pins: { status: 409, title: 'The conversation has as many pins as it may', retryable: false },
  user_erased: { status: 409, title: 'The person was erased', retryable: false },
  export_not_ready: { status: 409, title: 'The export is not done', retryable: true },
  too_large: { status: 413, title: 'Too large', retryable: false },
  unsupported_media_type: { status: 415, title: 'Send application/json', retryable: false },
  rate_limited: { status: 429, title: 'Too many requests', retryable: true },
  header_too_large: { status: 431, title: 'The headers are too large', retryable: false },
  internal: { status: 500, title: 'Something went wrong on our side', retryable: true },
  unavailable: { status: 503, title: 'A dependency is away', retryable: true }
} as const satisfies Record<string, { status: number; title: string; retryable: boolean; ws_code?: number }>

export type ErrorCode = keyof typeof ERRORS

/** One field that broke its contract: where (JSON pointer) and why. */
export interface FieldError {
  path: string
  message: string
}

/** What goes over NATS and into an `error` frame when a call is refused. */
export interface ErrorBody {
  code: ErrorCode
  detail: string
  errors?: FieldError[]
  retry_after_ms?: number
}

/** The one error class: thrown where the fact is known, turned into a reply once, at the edge. */
export class AppError extends Error {
  readonly code: ErrorCode
  readonly errors: FieldError[] | undefined
  readonly retry_after_ms: number | undefined

  constructor(code: ErrorCode, detail: string, more: { errors?: FieldError[] | undefined; retry_after_ms?: number; cause?: unknown } = {}) {
    super(detail, more.cause === undefined ? {} : { cause: more.cause })
    this.name = 'AppError'
    this.code = code
    this.errors = more.errors
    this.retry_after_ms = more.retry_after_ms ?? (ERRORS[code].status === 503 ? 1_000 : undefined)
  }

  get status(): number {
    return ERRORS[this.code].status
  }

  toBody(): ErrorBody {
    return {
      code: this.code,
      detail: this.message,
      ...(this.errors && { errors: this.errors }),
      ...(this.retry_after_ms !== undefined && { retry_after_ms: this.retry_after_ms })
    }
  }

  static from(body: ErrorBody): AppError {
    const code: ErrorCode = Object.hasOwn(ERRORS, body.code) ? body.code : 'internal'
    return new AppError(code, body.detail, {
      errors: body.errors,
      ...(body.retry_after_ms !== undefined && { retry_after_ms: body.retry_after_ms })
    })
  }
}

/** RFC 9457 problem details, with the stable code and the fields that the source designs name. */
export function problem(error: AppError, request_id: string): Record<string, unknown> {
  const { status, title } = ERRORS[error.code]
  return {
    type: 'about:blank',
    title,
    status,
    status_code: status,
    detail: error.message,
    code: error.code,
    timestamp: new Date().toISOString(),
    request_id,
    ...(error.errors && { errors: error.errors }),
    ...(error.retry_after_ms !== undefined && { retry_after_ms: error.retry_after_ms })
  }
}
