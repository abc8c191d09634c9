export interface Answer<B> {
  status: number
  headers: Headers
  /** Parsed where it is JSON, else the text. */
  body: B
}

// What a test looks into is whatever the server said: it is held against the contract there.
// biome-ignore lint/suspicious/noExplicitAny: an answer has the shape that the test expects
type Any = any

/** The REST interface as one person uses it. Paths stand below `/api/v1`, unless they begin with it or with another door. */
export class Client {
  readonly #url: string
  readonly #token: string | undefined

  constructor(url: string, token?: string) {
    this.#url = url
    this.#token = token
  }

  get = <B = Any>(path: string, headers?: Record<string, string>): Promise<Answer<B>> => this.ask('GET', path, undefined, headers)
  post = <B = Any>(path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer<B>> =>
    this.ask('POST', path, body, headers)
  patch = <B = Any>(path: string, body?: unknown): Promise<Answer<B>> => this.ask('PATCH', path, body)
  put = <B = Any>(path: string, body?: unknown): Promise<Answer<B>> => this.ask('PUT', path, body)
  delete = <B = Any>(path: string, body?: unknown): Promise<Answer<B>> => this.ask('DELETE', path, body)

  /** A string or bytes go as they are, anything else as JSON. */
  async ask<B = Any>(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer<B>> {
    const isRaw = typeof body === 'string' || body instanceof Uint8Array
    const response = await fetch(new URL(/^\/(api|health|openapi|asyncapi|docs)\b/.test(path) ? path : `/api/v1${path}`, this.#url), {
      method,
      redirect: 'manual',
      headers: {
        ...(this.#token !== undefined && { authorization: `Bearer ${this.#token}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers
      },
      ...(body !== undefined && { body: isRaw ? (body as string) : JSON.stringify(body) })
    })
    const text = await response.text()
    const isJson = /^application\/(\w+\+)?json\b/.test(response.headers.get('content-type') ?? '')
    return { status: response.status, headers: response.headers, body: (isJson && text ? JSON.parse(text) : text) as B }
  }
}

export const client = (url: string, token?: string): Client => new Client(url, token)
