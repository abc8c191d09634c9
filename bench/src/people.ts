import { randomUUID } from 'node:crypto'
import { CreateConversation, EnsureUsers, type ReplyOf, type RequestContract, type RequestOf } from '@parley/contracts'
import { actorOf, type Person, person, profileOf, signToken } from '@parley/test-kit'
import type { NatsConnection } from 'nats'
import type { ConversationOf } from './load/protocol.ts'
import type { Servers } from './servers.ts'

const USERS_AT_ONCE = 500
const CONVERSATIONS_AT_ONCE = 8

/** Makes people of one organization and puts them into conversations of one size, each person into one; the same for the baseline. */
export async function makeConversations(
  { nats, socketioDatabase, secret }: Servers,
  count: number,
  size: number
): Promise<ConversationOf[]> {
  const org_id = randomUUID()
  const people = Array.from({ length: count * size }, (_, n) => person({ org_id, name: `Person ${`${n}`.padStart(5, '0')}` }))
  for (let at = 0; at < people.length; at += USERS_AT_ONCE) {
    await ask(nats, EnsureUsers, { users: people.slice(at, at + USERS_AT_ONCE).map(profileOf) })
  }

  const conversations: ConversationOf[] = []
  const make = async (members: Person[]) => {
    const [owner, ...others] = members
    const { conversation } = await ask(nats, CreateConversation, {
      actor: actorOf(owner!),
      type: 'group',
      title: 'A conversation of the bench',
      participant_ids: others.map(({ id }) => id)
    })
    conversations.push({ id: conversation.id, members: members.map(one => ({ user_id: one.id, token: signToken(one, { secret }) })) })
  }
  for (let at = 0; at < count; at += CONVERSATIONS_AT_ONCE) {
    const group = Array.from({ length: Math.min(CONVERSATIONS_AT_ONCE, count - at) }, (_, n) => (at + n) * size)
    await Promise.all(group.map(from => make(people.slice(from, from + size))))
  }
  const participants = conversations.flatMap(({ id, members }) => members.map(({ user_id }) => ({ user_id, conversation_id: id })))
  await socketioDatabase.query('insert into participants (user_id, conversation_id) select * from unnest($1::uuid[], $2::uuid[])', [
    participants.map(({ user_id }) => user_id),
    participants.map(({ conversation_id }) => conversation_id)
  ])
  return conversations
}

/** Asks a service as a gateway does. */
export async function ask<C extends RequestContract>(nats: NatsConnection, contract: C, request: RequestOf<C>): Promise<ReplyOf<C>> {
  const { headers, data } = await nats.request(contract.subject, JSON.stringify(request), { timeout: 20_000 })
  const text = new TextDecoder().decode(data)
  if (headers?.get('Nats-Service-Error-Code')) throw new Error(`${contract.name} was refused: ${text}`)
  return JSON.parse(text)
}
