import { EnsureUsers, type Profile } from '@parley/contracts'
import type { Bus } from '@parley/nats-kit'
import { Coalescer } from './coalescer.ts'

const KNOWN_MAX = 100_000

/** Makes people known to the store by their tokens: asked once for each profile, not once a request. */
export class Directory {
  readonly #known = new Map<string, string>()
  readonly #ensure: Coalescer<Profile, undefined>

  constructor(bus: Bus) {
    this.#ensure = new Coalescer(async profiles => {
      await bus.request(EnsureUsers, { users: profiles })
      return profiles.map(() => undefined)
    }, 200)
  }

  /** Resolves once the person and their organization stand in the database as the token says. */
  async ensure(profile: Profile): Promise<void> {
    const key = profile.org_id + profile.id
    const fingerprint = JSON.stringify(profile)
    if (this.#known.get(key) === fingerprint) return
    await this.#ensure.ask(profile)
    if (this.#known.size >= KNOWN_MAX) this.#known.delete(this.#known.keys().next().value!)
    this.#known.set(key, fingerprint)
  }
}
