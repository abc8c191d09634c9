import { EnsureUsers, type Profile } from '@parley/contracts'
import type { Bus } from '@parley/nats-kit'
import { Coalescer } from './coalescer.ts'

const KNOWN_MAX = 100_000

/** Makes people known to the store by their tokens: asked once for each profile, not once a request. */
export class Directory {
  /** By organization and person; the profile is the one that their socket has as well, so it costs no memory of its own. */
  readonly #known = new Map<string, Profile>()
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
    const known = this.#known.get(key)
    if (known && isSame(known, profile)) return
    await this.#ensure.ask(profile)
    if (this.#known.size >= KNOWN_MAX) this.#known.delete(this.#known.keys().next().value!)
    this.#known.set(key, profile)
  }
}

/** Profiles are flat and made in one place, so each has the same fields. */
function isSame(one: Profile, other: Profile): boolean {
  for (const key in one) if (one[key as keyof Profile] !== other[key as keyof Profile]) return false
  return true
}
