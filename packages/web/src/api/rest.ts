/** What the server answered instead of what was asked for; `status` 0 means that it did not answer at all. */
export class ApiError extends Error {
  readonly status: number
  readonly code: string
  readonly retryAfterMs: number | undefined

  constructor(status: number, code: string, detail: string, retryAfterMs?: number) {
    super(detail)
    this.name = 'ApiError'
    this.status = status
    this.code = code
    this.retryAfterMs = retryAfterMs
  }

  /** Whether the same call may succeed later without being changed. */
  get retryable(): boolean {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500
  }
}

export interface TokenSource {
  token(): string | undefined
  /** Asks for a fresh token after a 401; undefined when there is none to be had. */
  renew(): Promise<string | undefined>
}

type Query = Record<string, string | number | boolean | undefined>
type Options = { query?: Query; body?: unknown; tokens?: TokenSource }

/**
 * Calls the REST interface. A 401 is answered once with a renewed token.
 *
 * @throws ApiError for every answer that is not 2xx, and with status 0 when there was none
 */
export async function call<T>(method: string, path: string, options: Options = {}): Promise<T> {
  const first = await attempt(method, path, options, options.tokens?.token())
  if (first.status !== 401 || !options.tokens) return read<T>(first)
  const token = await options.tokens.renew()
  return read<T>(token ? await attempt(method, path, options, token) : first)
}

async function attempt(method: string, path: string, { query, body }: Options, token?: string): Promise<Response> {
  const headers: Record<string, string> = { accept: 'application/json' }
  if (token) headers.authorization = `Bearer ${token}`
  if (body !== undefined) headers['content-type'] = 'application/json'
  try {
    return await fetch(`/api/v1${path}${queryString(query)}`, {
      method,
      headers,
      credentials: 'omit',
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(15_000)
    })
  } catch (error) {
    throw new ApiError(0, 'unreachable', error instanceof Error ? error.message : 'no answer')
  }
}

async function read<T>(response: Response): Promise<T> {
  if (response.status === 204) return undefined as T
  const answer = (await response.json().catch(() => undefined)) as Record<string, unknown> | undefined
  if (response.ok && answer !== undefined) return answer as T
  const retryAfterMs = typeof answer?.retry_after_ms === 'number' ? answer.retry_after_ms : undefined
  throw new ApiError(response.status, String(answer?.code ?? 'unknown'), String(answer?.detail ?? response.statusText), retryAfterMs)
}

function queryString(query: Query | undefined): string {
  const params = new URLSearchParams()
  for (const [name, value] of Object.entries(query ?? {})) if (value !== undefined) params.set(name, String(value))
  const text = params.toString()
  return text ? `?${text}` : ''
}
