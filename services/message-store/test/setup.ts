import { randomUUID } from 'node:crypto'
import {
  type Conversation,
  CreateConversation,
  DeleteMessage,
  EditMessage,
  EnsureUsers,
  type ErrorBody,
  type Message,
  type ReplyOf,
  type RequestContract,
  type RequestOf,
  type Send,
  SendMessages
} from '@parley/contracts'
import { type Bus, natsKit } from '@parley/nats-kit'
import { Database } from '@parley/pg-kit'
import { createApp } from '@parley/service-kit'
import {
  actorOf,
  colleagues,
  type FreshDatabase,
  freshDatabase,
  type Person,
  profileOf,
  type Scope,
  startTestNats,
  type TestServer
} from '@parley/test-kit'
import type { FastifyInstance } from 'fastify'
import { buildApp } from '../src/app.ts'
import type { Tables } from '../src/db.ts'

/** A line of the reply to a send. */
export interface Line {
  message?: Message
  duplicate?: true
  error?: ErrorBody
}

type Change = { type: string; conversation_id: string; version: number; message: Message }

/** Message-stores on servers of their own, and a gateway's way of asking them. */
export interface World {
  database: FreshDatabase
  nats: TestServer
  stores: FastifyInstance[]
  bus: Bus
  /** Makes people of one organization known, as their first token does. */
  people<const N extends readonly string[]>(...names: N): Promise<{ [K in keyof N]: Person }>
  /** Creates a group; the first is its owner. */
  group(...people: Person[]): Promise<Conversation>
  ask<C extends RequestContract>(contract: C, who: Person, request: Omit<RequestOf<C>, 'actor'>): Promise<ReplyOf<C>>
  /** Sends as a gateway does: all in one request, a line for each. */
  sendAll(sends: Send[]): Promise<Line[]>
  /** Sends one message, which must be accepted. */
  say(who: Person, conversation_id: string, content: string, more?: Partial<Send>): Promise<Message>
  edit(who: Person, message: Message, content: string): Promise<Message>
  remove(who: Person, message: Message): Promise<Message>
  /** The changes of a conversation that are published from now on, as gateways get them. */
  listen(conversation_id: string): Promise<Change[]>
}

export async function setup(t: Scope, { stores: count = 1 }: { stores?: number } = {}): Promise<World> {
  const [database, nats] = await Promise.all([freshDatabase(t), startTestNats(t)])
  const stores: FastifyInstance[] = []
  for (let n = 0; n < count; n++) stores.push(await openStore(t, { databaseUrl: database.url, natsUrl: nats.url }))
  return worldOf(database, nats, stores, await openBus(t, nats.url))
}

/** Builds a message-store inside of the test's own process. */
export async function openStore(t: Scope, { databaseUrl, natsUrl }: { databaseUrl: string; natsUrl: string }): Promise<FastifyInstance> {
  const app = await buildApp({
    OPS_PORT: 0,
    OPS_HOST: '127.0.0.1',
    LOG_LEVEL: process.env.LOG_LEVEL ?? 'silent',
    PARLEY_INSTANCE: '',
    NATS_URL: natsUrl,
    NATS_MONITOR_URL: '',
    NODE_ENV: 'test',
    ALLOW_UNSAFE_DURABILITY: '0',
    DATABASE_URL: databaseUrl,
    DATABASE_POOL_MAX: 10,
    EDIT_WINDOW_SECONDS: 0,
    SEARCH_INDEX: '1'
  })
  t.teardown(() => app.close())
  await app.ready()
  return app
}

/** A connection to NATS such as a gateway has. */
export async function openBus(t: Scope, natsUrl: string): Promise<Bus> {
  const app = createApp('test', { level: 'silent', instance: '' })
  await app.register(natsKit, { url: natsUrl, service: 'test' })
  t.teardown(() => app.close())
  await app.ready()
  return app.bus
}

/** A pool of the owner's, which sees everything. */
export function openOwner(t: Scope, url: string): Database<Tables> {
  const owner = new Database<Tables>({ url, max: 2, schema: 'messaging', role: 'parley', application: 'test', onError: () => {} })
  t.teardown(() => owner.close())
  return owner
}

export function worldOf(database: FreshDatabase, nats: TestServer, stores: FastifyInstance[], bus: Bus): World {
  const ask: World['ask'] = (contract, who, request) => bus.request(contract, { ...(request as object), actor: actorOf(who) } as never)
  const sendAll: World['sendAll'] = async sends => {
    const bytes = await bus.relay(SendMessages, { sends })
    return Buffer.from(bytes)
      .toString()
      .split('\n')
      .map(line => JSON.parse(line))
  }
  return {
    database,
    nats,
    stores,
    bus,
    ask,
    sendAll,
    async people(...names) {
      const people = colleagues(...names)
      await bus.request(EnsureUsers, { users: people.map(profileOf) })
      return people
    },
    async group(owner, ...others) {
      const { conversation } = await ask(CreateConversation, owner!, {
        type: 'group',
        title: 'Group',
        participant_ids: others.map(({ id }) => id)
      })
      return conversation
    },
    async say(who, conversation_id, content, more) {
      const [line] = await sendAll([toSend(who, conversation_id, content, more)])
      if (!line?.message) throw new Error(`it was refused: ${JSON.stringify(line)}`)
      return line.message
    },
    edit: (who, { id }, content) => ask(EditMessage, who, { message_id: id, content }),
    remove: async (who, { id }) => (await ask(DeleteMessage, who, { message_id: id })).message,
    async listen(conversation_id) {
      const heard: Change[] = []
      bus.subscribe(`evt.conversations.${conversation_id}`, ({ data }) => {
        for (const line of Buffer.from(data).toString().split('\n')) heard.push(JSON.parse(line))
      })
      await bus.flush()
      return heard
    }
  }
}

export const toSend = ({ id, org_id }: Person, conversation_id: string, content: string, more: Partial<Send> = {}): Send => ({
  user_id: id,
  org_id,
  conversation_id,
  content,
  client_message_id: randomUUID(),
  ...more
})

export const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1)

/** A random number generator that says the same again for the same seed (mulberry32). */
export function seeded(seed: number): (below: number) => number {
  let state = seed
  return below => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296) * below) | 0
  }
}
