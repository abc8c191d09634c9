import t from 'tap'
import { type Frame, Ledger } from '../src/index.ts'

const ready = (version: number): Frame => ({ type: 'ready', conversations: [{ id: 'c', version, unread_count: 0 }] })
const message = (seq: number, version: number, content = '') => ({ id: `m${seq}`, seq, version, content })
const sent = (version: number, seq = version): Frame => ({
  type: 'new_message',
  conversation_id: 'c',
  version,
  message: message(seq, version)
})
const sync = (from_version: number, version: number, messages: object[] = []): Frame => ({
  type: 'sync',
  conversation_id: 'c',
  from_version,
  version,
  has_more: false,
  messages,
  participants: []
})
const added = (version: number, ...people: string[]): Frame => ({
  type: 'conversation_added',
  conversation_id: 'c',
  version,
  conversation: { id: 'c', version, participants: people.map(user_id => ({ user_id, is_active: true })) }
})
const moved = (type: 'added' | 'removed', user_id: string, version: number): Frame => ({
  type: `participant_${type}`,
  conversation_id: 'c',
  version,
  participant: { user_id, is_active: type === 'added' }
})
function after(...frames: Frame[]): Ledger {
  const ledger = new Ledger()
  for (const frame of frames) ledger.take(frame)
  return ledger
}

t.test('versions that rise by one are in order', async t => {
  const ledger = after(ready(1), sent(2), sent(3))
  t.same(ledger.faults, [])
})

const FAULTY: Record<string, Frame[]> = {
  'a version that is passed over': [ready(1), sent(3)],
  'a version that comes twice': [ready(1), sent(2), sent(2)],
  'a version that goes back': [ready(2), sent(3), sent(2)],
  'a frame before ready': [sent(1)],
  'a frame of a conversation that was not named': [{ type: 'ready', conversations: [] }, sent(1)],
  'a sync that leaves a hole': [ready(1), sync(2, 4)],
  'a frame after one was removed': [ready(1), { type: 'conversation_removed', conversation_id: 'c', version: 2 }, sent(2)],
  'a conversation that is added twice': [ready(1), added(2)],
  'a second ready': [ready(1), ready(1)],
  'a message that changes its place': [ready(1), sent(2), { ...sent(3), message: { ...message(9, 3), id: 'm2' } }]
}
for (const [what, frames] of Object.entries(FAULTY)) {
  t.test(`${what} is a fault`, async t => {
    t.equal(after(...frames).faults.length, 1, JSON.stringify(after(...frames).faults))
  })
}

t.test('after a reconnect the client holds what it held until the sync has come, whatever came live before', async t => {
  const ledger = after(ready(0), sent(1), sent(2))
  ledger.begin()
  for (const frame of [ready(4), sent(5)]) ledger.take(frame)
  t.same(ledger.cursors(), { c: 2 }, 'three and four are missing')

  ledger.take(sync(2, 4, [message(3, 3), message(4, 4)]))
  t.same(ledger.cursors(), { c: 5 })
  t.same(
    ledger.messages('c').map(({ seq }) => seq),
    [1, 2, 3, 4, 5]
  )
  t.same(ledger.faults, [])
})

t.test('an older version of a message does not come over a newer one', async t => {
  const ledger = after(ready(1), { ...sent(2, 1), message: message(1, 2, 'new') }, sync(0, 2, [message(1, 1, 'old')]))
  t.equal(ledger.messages('c')[0]?.content, 'new')
})

t.test('who is in a conversation follows from what was told, also where a sync is older than what came live', async t => {
  const ledger = after({ type: 'ready', conversations: [] }, added(5, 'ada', 'ben'), moved('added', 'cleo', 6), moved('removed', 'ben', 7))
  t.same(ledger.people('c'), ['ada', 'cleo'])
  ledger.take({ ...sync(5, 6), participants: [{ user_id: 'ben', is_active: true }] })
  t.same(ledger.people('c'), ['ada', 'cleo'])
  t.same(ledger.faults, [])
})

t.test('who was removed holds nothing of the conversation, and may be added again', async t => {
  const ledger = after(ready(1), sent(2), { type: 'conversation_removed', conversation_id: 'c', version: 3 })
  t.same(ledger.cursors(), {})
  t.same(ledger.messages('c'), [])
  for (const frame of [{ type: 'conversation_added', conversation_id: 'c', version: 9 }, sent(10)]) ledger.take(frame)
  t.same(ledger.faults, [])
  t.same(ledger.cursors(), { c: 10 })
})
