import { Agent, request } from 'node:http'

export interface RestAnswer {
  status: number
  // What a test looks into is whatever the server said.
  // biome-ignore lint/suspicious/noExplicitAny: an answer has the shape that the caller expects
  body: any
}

/** Requests of one client over connections of its own, which end with it: the platform's own `fetch` keeps its for a minute. */
export class Rest {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 32 })

  /** @throws Error when there is no whole answer in time */
  ask(base: string, token: string, method: string, path: string, body: object | undefined, timeoutMs: number): Promise<RestAnswer> {
    const text = body === undefined ? undefined : JSON.stringify(body)
    return new Promise((resolve, reject) => {
      const asked = request(new URL(`/api/v1${path}`, base), {
        method,
        agent: this.#agent,
        signal: AbortSignal.timeout(timeoutMs),
        headers: {
          authorization: `Bearer ${token}`,
          ...(text !== undefined && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
        }
      })
      asked.on('error', reject)
      asked.on('response', answer => {
        let said = ''
        answer.setEncoding('utf8')
        answer.on('data', piece => {
          said += piece
        })
        answer.on('error', reject)
        answer.on('close', () => {
          if (!answer.complete) return reject(new Error('the answer was cut'))
          try {
            resolve({ status: answer.statusCode ?? 0, body: said === '' ? undefined : JSON.parse(said) })
          } catch (error) {
            reject(error as Error)
          }
        })
      })
      asked.end(text)
    })
  }

  close(): void {
    this.#agent.destroy()
  }
}
