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
  ensure(profile: Profile): Promise<void> {
    return this.tell(profile, async news => {
      if (news) await this.#ensure.ask(news)
    })
  }

  /**
   * Runs a question to the store that makes a person known by the way.
   *
   * @param ask given the profile that has to go along, undefined where the store has it already; resolves once it stands
   */
  async tell<T>(profile: Profile, ask: (news: Profile | undefined) => Promise<T>): Promise<T> {
    const key = profile.org_id + profile.id
    const before = this.#known.get(key)
    if (before && isSame(before, profile)) return ask(undefined)
    const answer = await ask(profile)
    const now = this.#known.get(key)
    // Another token of the same person was told at the same time: nobody knows which one came last, so ask again next time.
    if (now && now !== before && !isSame(now, profile)) this.#known.delete(key)
    else this.#remember(key, profile)
    return answer
  }

  #remember(key: string, profile: Profile): void {
    if (this.#known.size >= KNOWN_MAX) this.#known.delete(this.#known.keys().next().value!)
    this.#known.set(key, profile)
  }

  /** A person is asked for again with the next call that they make. */
  forget(user_id: string, org_id: string): void {
    this.#known.delete(org_id + user_id)
  }
}

/** Profiles are flat and made in one place, so each has the same fields. */
function isSame(one: Profile, other: Profile): boolean {
  for (const key in one) if (one[key as keyof Profile] !== other[key as keyof Profile]) return false
  return true
}
