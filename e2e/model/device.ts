import { type Frame, Ledger, openSocket, type Person, type Platform, type Socket, until } from '@parley/test-kit'

const STEP_MS = 20_000

/** One device of a person: it connects when told to, resumes with what it holds, and holds each frame to the letter. */
export class Device {
  readonly who: Person
  readonly ledger = new Ledger()
  readonly #platform: Platform
  #gateway: number
  #socket: Socket | undefined
  #taken = 0
  #isClosed = true
  #resumes = 0

  constructor(platform: Platform, who: Person, gateway: number) {
    this.#platform = platform
    this.who = who
    this.#gateway = gateway
  }

  get isConnected(): boolean {
    this.look()
    return !this.#isClosed
  }

  /** Connects, by the next gateway where one does not answer, and resolves once it has all that it missed. */
  async connect(): Promise<void> {
    const deadline = Date.now() + STEP_MS
    while (!(await this.#connectOnce())) {
      if (Date.now() > deadline) throw new Error(`${this.who.name} could not connect within ${STEP_MS} ms`)
      this.#gateway++
      await new Promise(resolve => setTimeout(resolve, 50))
    }
  }

  async #connectOnce(): Promise<boolean> {
    this.disconnect()
    const { urls } = this.#platform
    const socket = openSocket(urls[this.#gateway % urls.length]!, this.#platform.token(this.who))
    this.#socket = socket
    this.#taken = 0
    this.#isClosed = false
    void socket.closed.then(() => {
      if (this.#socket === socket) this.#isClosed = true
    })
    this.ledger.begin()
    const id = `resume-${++this.#resumes}`
    try {
      await socket.ready
      this.look()
      for (;;) {
        const answer = await socket.ask({ type: 'resume', id, cursors: this.ledger.cursors() }, STEP_MS)
        if (answer.type === 'resumed') break
        if (!answer.retryable) throw new Error(`${this.who.name}: a resume was refused: ${answer.code}`)
        await new Promise(resolve => setTimeout(resolve, 100))
      }
    } catch (error) {
      if (!this.#isClosed) throw error
      return false
    }
    this.look()
    return true
  }

  /** Loses the connection without a word. */
  disconnect(): void {
    this.look()
    this.#socket?.kill()
    this.#socket = undefined
    this.#isClosed = true
  }

  /** Takes what has come. */
  look(): void {
    const frames: Frame[] = this.#socket?.frames ?? []
    while (this.#taken < frames.length) this.ledger.take(frames[this.#taken++]!)
  }

  /** Asks on the socket; undefined where the connection ended before the answer, so that nothing is known. */
  async ask(frame: Frame): Promise<Frame | undefined> {
    const socket = this.#socket
    if (!socket || this.#isClosed) return undefined
    return socket.ask(frame, STEP_MS).catch(error => {
      if (this.#isClosed) return undefined
      throw error
    })
  }

  /** Resolves once it holds a conversation up to a version; connects again where a gateway was killed. */
  async holds(conversation_id: string, version: number): Promise<void> {
    if (!this.isConnected) await this.connect()
    await until(
      () => {
        this.look()
        return this.#isClosed || this.ledger.held(conversation_id) >= version
      },
      { timeoutMs: 45_000, what: `${this.who.name}'s device holds version ${version}, it holds ${this.ledger.held(conversation_id)}` }
    )
    if (this.#isClosed) await this.holds(conversation_id, version)
  }
}
