import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

/**
 * Below the range from which Linux takes the ports of outgoing connections (32768 upwards). A port from inside
 * that range can be taken while a server is being restarted on it, even by a client that keeps trying to reach it.
 */
const FIRST_PORT = 20_000
const LAST_PORT = 32_000

const handedOut = new Set<number>()

/** Finds a loopback port on which nobody listens; this process never gets the same one twice. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const port = randomInt(FIRST_PORT, LAST_PORT)
    if (handedOut.has(port) || (await portProblem(port))) continue
    handedOut.add(port)
    return port
  }
  throw new Error(`no free port between ${FIRST_PORT} and ${LAST_PORT}`)
}

/** Tries a port by listening on it for a moment. @returns the code of the error, such as EADDRINUSE, or undefined */
export function portProblem(port: number, host = '127.0.0.1'): Promise<string | undefined> {
  return new Promise(resolve => {
    const probe = createServer()
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code))
    probe.listen({ port, host, exclusive: true }, () => probe.close(() => resolve(undefined)))
  })
}

/**
 * Starts a server on the given port, or on a free one; somebody may take that before the server does, then another is tried.
 */
export async function onPort<T>(port: number | undefined, start: (port: number) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    const chosen = port ?? (await freePort())
    try {
      return await start(chosen)
    } catch (error) {
      if (port !== undefined || attempt === 3 || !/address already in use/i.test(String(error))) throw error
    }
  }
}
