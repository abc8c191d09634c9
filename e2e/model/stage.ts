import { setTimeout as delay } from 'node:timers/promises'
import { type Person, type Platform, type Scope, startPlatform, type TestProcess } from '@parley/test-kit'

const TRY_MS = 45_000
/** Between two kills the runs get somewhere: killed again as soon as it was back, nine tenths of the time went into starts. */
const KILLS_APART_MS = 5_000

/** Neither done nor refused for good. */
const isTransient = (status: number): boolean => status >= 500 || status === 429

export interface Told<B> {
  status: number
  body: B
  /** How often it was asked: an earlier attempt may have been carried out as well. */
  attempts: number
}

/** The platform that all runs share: two gateways, two stores, and whoever kills them. */
export class Stage {
  readonly platform: Platform
  #returning: Promise<void> = Promise.resolve()
  #isWhole = true
  #killedAt = 0
  kills = 0

  private constructor(platform: Platform) {
    this.platform = platform
  }

  static async open(t: Scope): Promise<Stage> {
    const stage = new Stage(await startPlatform(t, { gateways: 2, stores: 2 }))
    t.teardown(() => stage.#returning)
    return stage
  }

  /** Kills a process, where all are there and the last kill is over for a while; it comes back while the others go on. */
  kill(service: 'gateway' | 'message-store', n: number): void {
    if (!this.#isWhole || Date.now() - this.#killedAt < KILLS_APART_MS) return
    this.#killedAt = Date.now()
    const { gateways, stores } = this.platform
    const victim: TestProcess = (service === 'gateway' ? gateways : stores)[n % 2]!
    this.#isWhole = false
    this.kills++
    victim.kill('SIGKILL')
    this.#returning = victim.exited
      .then(() => victim.start())
      .then(() => {
        this.#isWhole = true
      })
  }

  /** Resolves once everything that was killed is back. */
  whole(): Promise<void> {
    return this.#returning
  }

  /** Asks until there is an answer that says something, by the other gateway each time. */
  async ask<B>(who: Person, method: string, path: string, body?: object): Promise<Told<B>> {
    const deadline = Date.now() + TRY_MS
    for (let attempts = 1; ; attempts++) {
      const answer = await this.platform
        .client(who, attempts % 2)
        .ask<B>(method, path, body)
        .catch(() => undefined)
      if (answer && !isTransient(answer.status)) return { ...answer, attempts }
      if (Date.now() > deadline) throw new Error(`${method} ${path} got no answer: ${answer?.status} ${JSON.stringify(answer?.body)}`)
      await delay(30)
    }
  }
}
