import { randomUUID } from 'node:crypto'
import { GetConversation, GetHeads, OpenUsers, type RequestContract } from '@parley/contracts'
import type { Bus } from '@parley/nats-kit'
import { failOnLeftovers, person, profileOf, until } from '@parley/test-kit'
import type { FastifyBaseLogger } from 'fastify'
import t from 'tap'
import { Hub } from '../src/socket/hub.ts'
import { openPair } from './pair.ts'

failOnLeftovers(t)

t.test('who hangs up while the gateway comes back to the bus is in no conversation afterwards', async t => {
  const { connection, client, turn } = await openPair(t)
  const ada = person()
  const id = randomUUID()
  const state = { user_id: ada.id, org_id: ada.org_id, unread_total: 0, conversations: [{ id, version: 3, unread_count: 0 }] }
  let answer = Promise.resolve()
  const asked: string[] = []
  let reconnected = () => {}
  const bus = {
    async request({ name }: RequestContract) {
      asked.push(name)
      if (name === GetHeads.name) return { versions: [[id, 3]] }
      if (name === GetConversation.name) return { id, version: 3 }
      await answer
      return { states: [state] }
    },
    subscribe: () => ({ unsubscribe() {} }),
    flush: async () => {},
    onReconnect(callback: () => void) {
      reconnected = callback
    }
  }
  const hub = new Hub(bus as unknown as Bus, turn, console as unknown as FastifyBaseLogger, { held() {}, healed() {} })
  t.teardown(() => hub.close())
  connection.identity = { profile: profileOf(ada), issued_at: null, expires_at: 0 }
  const { open } = await hub.catchUp.follow(connection)
  open()
  t.equal(hub.size.conversations, 1)

  const late = Promise.withResolvers<void>()
  answer = late.promise
  asked.length = 0
  reconnected()
  await until(() => asked.includes(OpenUsers.name), { what: 'it is asked what the person is in' })
  client.terminate()
  await until(() => !connection.isOpen, { what: 'the connection is gone' })
  hub.leave(connection)
  late.resolve()
  // All that follows is done in a few turns: there is nobody left to ask for.
  for (let turns = 0; turns < 50; turns++) await new Promise(resolve => setImmediate(resolve))
  t.equal(hub.size.conversations, 0)
})
