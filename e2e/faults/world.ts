import type { Person, Platform } from '@parley/test-kit'
import { person } from '@parley/test-kit'
import type { Cast } from './history.ts'
import type { Random } from './random.ts'

export const ORGANIZATIONS = 3
export const CONVERSATIONS = 12
export const SENDERS = 8
export const READERS = 16
/** One an organization: somebody who comes into one of its conversations and is removed from it, again and again. */
export const GUESTS = ORGANIZATIONS

/** The people of a run, their organizations and what they talk in. */
export interface World {
  cast: Cast
  senders: Person[]
  readers: Person[]
  guests: Person[]
  /** The conversations of an organization. */
  conversationsOf(org_id: string): string[]
  markOf(org_id: string): string
}

/** Makes the organizations and their conversations; everyone is in all conversations of their organization. */
export async function makeWorld(platform: Pick<Platform, 'client'>, random: Random): Promise<World> {
  const organizations = Array.from({ length: ORGANIZATIONS }, () => random.uuid())
  const marks = Object.fromEntries(organizations.map(org => [org, `mark-${org.slice(0, 8)}`]))
  const make = (kind: string, count: number): Person[] =>
    Array.from({ length: count }, (_, n) => {
      const org_id = organizations[n % ORGANIZATIONS]!
      return { ...person({ org_id, name: `${kind} ${n + 1} ${marks[org_id]}` }), id: random.uuid() }
    })
  const senders = make('Sender', SENDERS)
  const readers = make('Reader', READERS)
  const guests = make('Guest', GUESTS)
  const people = [...senders, ...readers]
  for (const who of [...people, ...guests]) await expectStatus(200, platform.client(who).get('/me'))

  const conversations: Cast['conversations'] = []
  for (let n = 0; n < CONVERSATIONS; n++) {
    const org_id = organizations[n % ORGANIZATIONS]!
    const [owner, ...others] = people.filter(one => one.org_id === org_id)
    const { body } = await expectStatus(
      201,
      platform.client(owner!).post('/conversations', {
        type: 'group',
        title: `Conversation ${n + 1} ${marks[org_id]}`,
        participant_ids: others.map(({ id }) => id)
      })
    )
    conversations.push({ id: body.id, org_id, members: [owner!, ...others].map(({ id }) => id) })
  }
  const actors = [
    ...senders.map((one, n) => ({ proc: `s${n + 1}`, user_id: one.id, org_id: one.org_id })),
    ...readers.map((one, n) => ({ proc: `r${n + 1}`, user_id: one.id, org_id: one.org_id })),
    ...guests.map((one, n) => ({ proc: `g${n + 1}`, user_id: one.id, org_id: one.org_id }))
  ]
  return {
    cast: { actors, conversations, marks },
    senders,
    readers,
    guests,
    conversationsOf: org_id => conversations.filter(one => one.org_id === org_id).map(({ id }) => id),
    markOf: org_id => marks[org_id]!
  }
}

async function expectStatus<A extends { status: number; body: unknown }>(status: number, asked: Promise<A>): Promise<A> {
  const answer = await asked
  if (answer.status !== status) throw new Error(`the world could not be made: ${answer.status} ${JSON.stringify(answer.body)}`)
  return answer
}
