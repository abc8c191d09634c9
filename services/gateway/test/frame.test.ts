import { ConversationChanged } from '@parley/contracts'
import t from 'tap'
import { versionOf } from '../src/socket/frame.ts'

const encode = (text: string) => new TextEncoder().encode(text)

t.test('the version of every lasting change is read where its contract puts it', async t => {
  const conversation_id = '0199d0a1-7b7c-7000-8000-000000000001'
  const changes = ConversationChanged.payload.anyOf
  t.ok(changes.length >= 7)
  for (const { properties } of changes) {
    const type = properties.type.const
    t.same(Object.keys(properties).slice(0, 3), ['type', 'conversation_id', 'version'], `${type} begins as the gateway reads it`)
    for (const version of [1, 42, Number.MAX_SAFE_INTEGER]) {
      const frame = JSON.stringify({ type, conversation_id, version, version_of_something_else: 7 })
      t.equal(versionOf(encode(frame)), version, `${type} at ${version}`)
    }
  }
})

t.test('what is no lasting change has no version', async t => {
  for (const text of [
    '',
    '{}',
    '{"type":"pong"}',
    '{"type":"message_read","conversation_id":"0199d0a1-7b7c-7000-8000-000000000001","user_id":"x"}'
  ])
    t.equal(versionOf(encode(text)), undefined, text)
})
