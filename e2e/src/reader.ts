import { setTimeout as delay } from 'node:timers/promises'
import { Ledger, openSocket, type Person, type Platform, type Scope, type Socket, until } from '@parley/test-kit'

const RESUME = 'resume'

/**
 * A client that wants everything: it stays connected, takes the next gateway when its socket ends, resumes with what it
 * holds, and holds each frame against what a client may rely on.
 */
export class Reader {
  readonly ledger = new Ledger()
  readonly closes: number[] = []
  readonly #platform: Platform
  readonly #who: Person
  #gateway: number
  #socket: Socket | undefined
  #isInStep = false
  #isOver = false
  #running: Promise<void> = Promise.resolve()

  constructor(platform: Platform, who: Person, gateway: number) {
    this.#platform = platform
    this.#who = who
    this.#gateway = gateway
  }

  /** Resolves once it is connected and has all that there is. */
  async start(t: Scope): Promise<this> {
    this.#running = this.#run()
    t.teardown(() => this.stop())
    await until(() => this.#isInStep, { timeoutMs: 20_000, what: 'the reader is in step' })
    return this
  }

  /** Connected, and resumed on this connection. */
  get isInStep(): boolean {
    return this.#isInStep
  }

  /** Loses its connection without a word. */
  drop(): void {
    this.#isInStep = false
    this.#socket?.kill()
  }

  async stop(): Promise<void> {
    this.#isOver = true
    await this.#running
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      const { urls } = this.#platform
      const socket = openSocket(urls[this.#gateway % urls.length]!, this.#platform.token(this.#who))
      this.#socket = socket
      await this.#follow(socket)
      socket.kill()
      this.closes.push((await socket.closed).code)
      this.#isInStep = false
      // The next one is another gateway, as behind a balancer.
      this.#gateway++
      await delay(50)
    }
  }

  async #follow(socket: Socket): Promise<void> {
    this.ledger.begin()
    let isClosed = false
    void socket.closed.then(() => (isClosed = true))
    const resume = () => socket.send({ type: 'resume', id: RESUME, cursors: this.ledger.cursors() })
    let taken = 0
    while (!this.#isOver) {
      const isLast = isClosed
      while (taken < socket.frames.length) {
        const frame = socket.frames[taken++]!
        this.ledger.take(frame)
        if (frame.type === 'ready') resume()
        if (frame.type === 'resumed') {
          if (!frame.complete) this.ledger.faults.push('a resume was not complete')
          this.#isInStep = true
        }
        if (frame.type === 'error' && frame.id === RESUME) {
          if (!frame.retryable) this.ledger.faults.push(`a resume was refused: ${frame.code}`)
          setTimeout(() => !isClosed && resume(), 200)
        }
      }
      if (isLast) return
      await delay(5)
    }
  }
}
