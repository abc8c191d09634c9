import { AppError, EnsureUsers, type Presented, type Profile } from '@parley/contracts'
import type { Bus } from '@parley/nats-kit'
import { Coalescer } from './coalescer.ts'
import type { Identity } from './tokens.ts'

const KNOWN_MAX = 100_000

/** Makes people known to the store by their tokens: asked once for each profile, not once a request. */
export class Directory {
  /** By organization and person; the profile is the one that their socket has as well, so it costs no memory of its own. */
  readonly #known = new Map<string, Profile>()
  readonly #ensure: Coalescer<Presented, { isRefused: boolean }>
  /** How often somebody was forgotten: what was asked before that says nothing of them any more. */
  #forgets = 0

  constructor(bus: Bus) {
    this.#ensure = new Coalescer(async profiles => {
      const people = new Map<string, Presented>()
      for (const profile of profiles) {
        const key = profile.org_id + profile.id
        people.set(key, newestOf(people.get(key), profile))
      }
      const { refused = [] } = await bus.request(EnsureUsers, { users: [...people.values()] })
      const gone = new Set(refused.map(({ user_id, org_id }) => org_id + user_id))
      return profiles.map(({ id, org_id }) => ({ isRefused: gone.has(org_id + id) }))
    }, 200)
  }

  /**
   * Resolves once the person and their organization stand in the database as the token says.
   *
   * @throws AppError unauthenticated where the person was deactivated since the token was issued
   */
  ensure(identity: Identity): Promise<void> {
    return this.tell(identity, async news => {
      if (news && (await this.#ensure.ask(news)).isRefused) throw revoked()
    })
  }

  /**
   * Runs a question to the store that makes a person known by the way.
   *
   * @param ask given the profile that has to go along, undefined where the store has it already; resolves once it stands
   */
  async tell<T>({ profile, issued_at }: Identity, ask: (news: Presented | undefined) => Promise<T>): Promise<T> {
    const key = profile.org_id + profile.id
    const before = this.#known.get(key)
    if (before && isSame(before, profile)) return ask(undefined)
    const forgets = this.#forgets
    const answer = await ask({ ...profile, issued_at })
    // Whoever was deactivated after the store looked would be known for as long as we run, and their old token let in.
    if (forgets !== this.#forgets) return answer
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
    this.#forgets++
    this.#known.delete(org_id + user_id)
  }
}

/** The host application took the person away, and nothing newer than that says otherwise. */
export const revoked = (): AppError => new AppError('unauthenticated', 'this person was deactivated after the token was issued')

/**
 * Of two profiles of one person the one whose token was issued last, of two of one moment the other: a question to the store
 * has room for one, and an old token would answer for the new one, which brings back who was deactivated in between.
 */
export function newestOf(one: Presented | undefined, other: Presented): Presented {
  return one && issuedAt(one) > issuedAt(other) ? one : other
}

/** What does not say when it was issued is older than all that do, as for the store. */
const issuedAt = ({ issued_at }: Presented): number => issued_at ?? Number.NEGATIVE_INFINITY

/** Profiles are flat and made in one place, so each has the same fields. */
function isSame(one: Profile, other: Profile): boolean {
  for (const key in one) if (one[key as keyof Profile] !== other[key as keyof Profile]) return false
  return true
}
