import { type LiveState, OpenUsers, type Presented } from '@parley/contracts'
import type { Bus } from '@parley/nats-kit'
import { Coalescer } from '../coalescer.ts'
import { newestOf, revoked } from '../directory.ts'
import type { Hub } from './hub.ts'

export const PEOPLE_MAX = 200
/** Questions in a storm are so far apart at least: 1,177 µs of CPU a connect without, 987 with it. */
const WAVE_MS = 20
/** An answer that takes longer than this says that whoever is live has to wait as well: fewer are let in at once. */
const WAVE_TARGET_MS = 30

/** Whose state is asked for, and the profile where the store may not have it so yet. */
export interface Question {
  user_id: string
  org_id: string
  news?: Presented | undefined
}

/** Asks the store for people's conversations, versions and unread counts: many people in one question, one question after the other. */
export class LiveStates {
  readonly #bus: Bus
  readonly #hub: Hub
  readonly #questions: Coalescer<Question, LiveState>

  constructor(bus: Bus, hub: Hub) {
    this.#bus = bus
    this.#hub = hub
    this.#questions = new Coalescer(users => this.#ask(users), PEOPLE_MAX, { everyMs: WAVE_MS, targetMs: WAVE_TARGET_MS })
  }

  /** @throws AppError unavailable where the store is away, unauthenticated where the person was deactivated since their token was issued */
  async of(question: Question): Promise<LiveState> {
    const state = await this.#questions.ask(question)
    if (state.refused) throw revoked()
    return state
  }

  /**
   * One question for each person, however many of their devices come in at once. Their subscriptions go out just before it,
   * all in one write, and on the same connection to the bus: once it is answered they stand.
   */
  async #ask(users: Question[]): Promise<LiveState[]> {
    const people = new Map<string, Question>()
    for (const { user_id, org_id, news } of users) {
      const key = org_id + user_id
      const known = people.get(key)?.news
      people.set(key, { user_id, org_id, news: news ? newestOf(known, news) : known })
    }
    for (const { user_id, org_id } of people.values()) this.#hub.hear(user_id, org_id)
    const states = await this.#openUsers([...people.values()])
    const byPerson = new Map(states.map(state => [state.org_id + state.user_id, state]))
    return users.map(({ user_id, org_id }) => byPerson.get(org_id + user_id)!)
  }

  /** People of very many conversations do not fit into one answer together: then half of them is asked for at a time. */
  async #openUsers(users: Question[]): Promise<LiveState[]> {
    const profiles = users.flatMap(({ news }) => news ?? [])
    try {
      const question = { users: users.map(({ user_id, org_id }) => ({ user_id, org_id })), ...(profiles.length > 0 && { profiles }) }
      return (await this.#bus.request(OpenUsers, question)).states
    } catch (error) {
      if (users.length === 1 || (error as { code?: string }).code !== 'internal') throw error
      const half = Math.ceil(users.length / 2)
      return [...(await this.#openUsers(users.slice(0, half))), ...(await this.#openUsers(users.slice(half)))]
    }
  }
}
