import { type Frame, type Person, person, until } from '@parley/test-kit'
import { Rest } from '../client/rest.ts'
import { Sender } from '../client/sender.ts'
import type { Trial } from '../trial.ts'

const AT_ONCE = 16
const ANSWER_MS = 20_000

/** People beside the load, in an organization of their own. The checker knows them, their conversations and what they say. */
export class Visitors {
  readonly people: Person[]
  readonly mark: string
  readonly #trial: Trial
  readonly #rest = new Rest()
  /** Those who came before them. */
  readonly #before: number

  /** Use `inviteVisitors`. */
  constructor(trial: Trial, people: Person[], mark: string) {
    this.#trial = trial
    this.people = people
    this.mark = mark
    this.#before = trial.world.cast.actors.filter(({ proc }) => proc.startsWith('v')).length
    trial.scope.teardown(() => this.#rest.close())
  }

  /** As somebody is called in the history. */
  procOf(who: Person): string {
    return `v${this.#before + this.people.indexOf(who) + 1}`
  }

  /** What the gateway answers to somebody; by connections that end with `leave`. */
  async ask(who: Person, method: string, path: string, body?: object, gateway = 0): Promise<{ status: number; body: Frame }> {
    const { platform } = this.#trial
    return this.#rest.ask(platform.urls[gateway % platform.urls.length]!, platform.token(who), method, path, body, ANSWER_MS)
  }

  /** The first of them makes it, and is its owner. */
  async startConversation([owner, ...others]: readonly Person[], title: string): Promise<string> {
    const { cast } = this.#trial.world
    const asked = { type: 'group', title: `${title} ${this.mark}`, participant_ids: others.map(({ id }) => id) }
    const { status, body } = await this.ask(owner!, 'POST', '/conversations', asked)
    if (status !== 201) throw new Error(`${title} could not be made: ${status} ${JSON.stringify(body)}`)
    cast.conversations.push({ id: body.id, org_id: owner!.org_id, members: [owner!, ...others].map(({ id }) => id) })
    return body.id
  }

  startConversations(count: number, members: (n: number) => readonly Person[]): Promise<string[]> {
    return each(
      Array.from({ length: count }, (_, n) => n),
      n => this.startConversation(members(n), `Visitors ${n + 1}`)
    )
  }

  /** Somebody who writes beside the load, in the history as everyone: through one gateway, which they do not leave. */
  async startWriter(
    who: Person,
    {
      conversations,
      gateway,
      rate,
      inFlightMax = 16
    }: { conversations: readonly string[]; gateway: number; rate: number; inFlightMax?: number }
  ): Promise<Sender> {
    const { platform, random, history, scope } = this.#trial
    const token = platform.token(who)
    const proc = this.procOf(who)
    const writer = new Sender({
      proc,
      doors: { urls: [platform.urls[gateway]!], token: () => token },
      random: random.fork(proc),
      gateway: 0,
      history,
      conversations,
      mark: this.mark,
      isRest: false,
      rate,
      inFlightMax
    })
    scope.teardown(() => writer.stop())
    writer.start()
    await until(() => writer.isReady, { timeoutMs: 30_000, what: `${proc} is connected` })
    writer.write()
    return writer
  }

  /** Ends their connections for requests. */
  leave(): void {
    this.#rest.close()
  }
}

/** Lets people come who are known to the platform from then on. */
export async function inviteVisitors(trial: Trial, count: number): Promise<Visitors> {
  const { random, world } = trial
  const org_id = random.uuid()
  const mark = `mark-${org_id.slice(0, 8)}`
  world.cast.marks[org_id] = mark
  const people = Array.from({ length: count }, (_, n) => ({ ...person({ org_id, name: `Visitor ${n + 1} ${mark}` }), id: random.uuid() }))
  const visitors = new Visitors(trial, people, mark)
  for (const who of people) world.cast.actors.push({ proc: visitors.procOf(who), user_id: who.id, org_id })
  await each(people, async who => {
    const { status } = await visitors.ask(who, 'GET', '/me')
    if (status !== 200) throw new Error(`a visitor could not come: ${status}`)
  })
  return visitors
}

/** Does something with each, some at once, and gives the results in their order. */
async function each<T, R>(list: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  const left = list.entries()
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (const [index, item] of left) results[index] = await work(item)
    })
  )
  return results
}

/** Lets writers finish what they have begun, and go. */
export async function endWriters(writers: readonly Sender[]): Promise<void> {
  await Promise.all(writers.map(writer => writer.finish(30_000)))
  await Promise.all(writers.map(writer => writer.stop()))
}
