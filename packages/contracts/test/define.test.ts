import { randomUUID } from 'node:crypto'
import { Type } from '@sinclair/typebox'
import t from 'tap'
import {
  ConversationChanged,
  ConversationMoment,
  defineEvent,
  defineFrame,
  defineRequest,
  defineRoute,
  events,
  requests,
  SendMessages,
  STREAMS,
  UserChanged,
  UserMoment
} from '../src/index.ts'

t.test('two contracts of one name fail at start', async t => {
  const summary = 'A second one.'
  t.throws(() => defineRequest('messages.send', { summary, request: Type.Object({}), reply: Type.Any() }), /two contracts.*messages\.send/)
  t.throws(() => defineEvent('evt.other.{id}', { name: 'ConversationChanged', summary, payload: Type.Any() }), /two contracts/)
  t.throws(() => defineRoute({ method: 'GET', path: '/me', tag: 'people', summary, replies: {}, errors: [] }), /two contracts.*GET \/me/)
  t.throws(() => defineFrame({ type: 'ping', from: 'client', summary, schema: Type.Object({}) }), /two contracts.*client ping/)
})

t.test('a request has its subject, a time to wait and the errors that it may give', async t => {
  t.match(SendMessages, { subject: 'req.messages.send', timeoutMs: 2_000 })
  for (const { name, subject, timeoutMs, summary } of requests.values()) {
    t.equal(subject, `req.${name}`)
    t.match(subject, /^req\.[a-z_]+\.[a-z_]+$/)
    t.ok(timeoutMs > 0 && timeoutMs <= 15_000, `${name} is waited for ${timeoutMs} ms`)
    t.match(summary, /\.$/)
  }
})

t.test('the subject of an event names the thing that it is about', async t => {
  const id = randomUUID()
  t.equal(ConversationChanged.subject({ conversation_id: id }), `evt.conversations.${id}`)
  t.equal(UserChanged.subject({ org_id: 'o', user_id: id }), `evt.users.o.${id}`)
  t.equal(ConversationMoment.subject({ conversation_id: id }), `eph.conversations.${id}`)
  t.equal(UserMoment.subject({ org_id: 'o', user_id: id }), `eph.users.o.${id}`)
})

t.test('what a stream keeps is the log, and nothing that is told to those who are live', async t => {
  const kept = STREAMS.flatMap(({ subjects }) => [...subjects])
  for (const { address, name } of events.values()) {
    const isKept = kept.some(subject => address.startsWith(subject.replace('>', '')))
    t.equal(isKept, address.startsWith('log.'), name)
    t.match(address, /^(evt|eph|log)\./)
  }
})
