import { failOnLeftovers } from '@parley/test-kit'
import t from 'tap'
import { check } from '../faults/checker/check.ts'
import type { Final } from '../faults/checker/final.ts'
import { checkResources, type Sample } from '../faults/checker/resources.ts'
import { CHECKS, type Check, describe } from '../faults/checker/violation.ts'
import { type Cast, hashOf, type Line, type Seen, type Told } from '../faults/history.ts'

failOnLeftovers(t)

/** A small history in which all is as promised, with every kind of line, and the state that it ends in. */
function goodHistory() {
  const lines: Line[] = []
  const add = (told: Partial<Told>): number => {
    const n = lines.length
    lines.push({ n, t: n * 10, proc: 's1', type: 'ok', op: 'send', ...told })
    return n
  }
  const CONV = 'conversation-a'
  const cast: Cast = {
    actors: [
      { proc: 's1', user_id: 'u1', org_id: 'org-a' },
      { proc: 'r1', user_id: 'u2', org_id: 'org-a' },
      { proc: 'r2', user_id: 'u3', org_id: 'org-a' },
      { proc: 'r3', user_id: 'u4', org_id: 'org-a' }
    ],
    conversations: [
      { id: CONV, org_id: 'org-a', members: ['u1', 'u2', 'u3', 'u4'] },
      { id: 'conversation-b', org_id: 'org-b', members: [] }
    ],
    marks: { 'org-a': 'mark-a', 'org-b': 'mark-b' }
  }
  const seenOf = (id: string, seq: number, version: number, content: string, is_deleted = false): Seen => [
    id,
    seq,
    version,
    hashOf({ id, seq, sender_id: 'u1', client_message_id: `s1-${seq}`, content, is_deleted }),
    is_deleted
  ]
  const readers = ['r1', 'r2']
  for (const proc of [...readers, 'r3']) {
    add({ proc, op: 'connect' })
    add({ proc, op: 'ready', heads: { [CONV]: 1 } })
    add({ proc, op: 'sync', conv: CONV, from: 0, version: 1, messages: [] })
    add({ proc, op: 'resumed', complete: true })
  }
  const tell = (kind: string, seen: Seen) => {
    for (const proc of readers) add({ proc, op: 'frame', conv: CONV, version: seen[2], value: kind, messages: [seen] })
  }
  const send = (seq: number, version: number) => {
    const value = `mark-a s1-${seq}`
    const of = add({ type: 'invoke', conv: CONV, key: `s1-${seq}`, value })
    const seen = seenOf(`m${seq}`, seq, version, value)
    add({ of, id: `m${seq}`, seq, version, hash: seen[3] })
    tell('new_message', seen)
  }
  send(1, 2)
  send(2, 3)
  // Its answer is lost: it is tried again, and stands.
  const lost = add({ type: 'invoke', conv: CONV, key: 's1-3', value: 'mark-a s1-3' })
  add({ type: 'info', of: lost, code: 'connection lost' })
  send(3, 4)
  const edit = add({ type: 'invoke', op: 'edit', conv: CONV, key: 's1-e1', target: 'm1', value: 'mark-a s1-1 edited' })
  const edited = seenOf('m1', 1, 5, 'mark-a s1-1 edited')
  add({ op: 'edit', of: edit, id: 'm1', seq: 1, version: 5, hash: edited[3] })
  tell('message_updated', edited)
  const remove = add({ type: 'invoke', op: 'delete', conv: CONV, key: 's1-d1', target: 'm2' })
  const deleted = seenOf('m2', 2, 6, '', true)
  add({ op: 'delete', of: remove, id: 'm2', seq: 2, version: 6, hash: deleted[3] })
  tell('message_deleted', deleted)
  // One reader loses its connection and misses a message.
  add({ proc: 'r2', op: 'connect' })
  readers.pop()
  send(4, 7)
  add({ proc: 'r2', op: 'ready', heads: { [CONV]: 7 } })
  add({ proc: 'r2', op: 'sync', conv: CONV, from: 6, version: 7, messages: [seenOf('m4', 4, 7, 'mark-a s1-4')] })
  add({ proc: 'r2', op: 'resumed', complete: true })
  const mark = add({ type: 'invoke', op: 'mark_read', conv: CONV, key: 's1-r1', seq: 4 })
  add({ op: 'mark_read', of: mark, seq: 4 })
  const page = add({ type: 'invoke', op: 'read', conv: CONV, key: 's1-p1' })
  add({ op: 'read', of: page, conv: CONV, version: 7, seq: 4, messages: [edited, deleted, seenOf('m4', 4, 7, 'mark-a s1-4')] })
  // A refusal that is right, of something that is not there.
  const refused = add({ type: 'invoke', conv: CONV, key: 's1-9', value: 'mark-a s1-9' })
  add({ type: 'fail', of: refused, code: 'content_too_long' })
  // One reader is removed, told of it, and told of nothing after that.
  const removal = add({ type: 'invoke', op: 'remove', conv: CONV, key: 's1-x1', target: 'u4' })
  add({ op: 'remove', of: removal })
  add({ proc: 'r3', op: 'removed', conv: CONV })
  for (const proc of ['r1', 'r2']) add({ proc, op: 'frame', conv: CONV, version: 8, value: 'participant_removed', target: 'u4' })
  const told: Seen = [
    'm5',
    5,
    9,
    hashOf({ id: 'm5', seq: 5, sender_id: 'u1', client_message_id: null, content: 'left', is_deleted: false }),
    false
  ]
  for (const proc of ['r1', 'r2']) {
    add({ proc, op: 'frame', conv: CONV, version: 9, value: 'new_message', messages: [told] })
    add({ proc, op: 'shows', conv: CONV, version: 9 })
  }
  const row = (seq: number, version: number, content: string, more = {}) => ({
    id: `m${seq}`,
    conversation_id: CONV,
    org_id: 'org-a',
    seq,
    version,
    sender_id: 'u1',
    client_message_id: `s1-${seq}` as string | null,
    content,
    content_type: 'text',
    is_deleted: false,
    ...more
  })
  const final: Final = {
    conversations: [{ id: CONV, org_id: 'org-a', last_seq: 5, version: 9, participant_count: 3, last_message_id: 'm5' }],
    messages: [
      row(1, 5, 'mark-a s1-1 edited'),
      row(2, 6, 'mark-a s1-2', { is_deleted: true }),
      row(3, 4, 'mark-a s1-3'),
      row(4, 7, 'mark-a s1-4'),
      row(5, 9, 'left', { client_message_id: null, content_type: 'system' })
    ],
    revisions: [{ message_id: 'm1', version: 5, content: 'mark-a s1-1' }],
    participants: ['u1', 'u2', 'u3', 'u4'].map(user_id => ({
      conversation_id: CONV,
      user_id,
      is_active: user_id !== 'u4',
      last_read_seq: user_id === 'u1' ? 4 : 0
    })),
    unread: [{ user_id: 'u2', conversation_id: CONV, unread_count: 3 }]
  }
  const line = (fits: (line: Line) => boolean) => lines[lines.findIndex(fits)]!
  return { lines, final, cast, add, line, CONV, seenOf }
}
type Good = ReturnType<typeof goodHistory>

const REFUSALS = { refusals: ['content_too_long'], authorityMs: 1_000 }
const violationsOf = ({ lines, final, cast }: Good) => check(lines, final, cast, REFUSALS)

t.test('a history in which all is as promised has no violation', async t => {
  t.equal(describe(violationsOf(goodHistory())), '')
})

t.test('who was away for a time need not have what was said then, however they came back', async t => {
  const good = goodHistory()
  for (const line of good.lines) if (line.proc === 'r1') line.messages = line.messages?.filter(([id]) => id !== 'm3') as Seen[]
  t.match(violationsOf(good), [{ check: 'C10' }])
  good.final.participants.find(({ user_id }) => user_id === 'u2')!.absences = [[3, 3]]
  t.equal(describe(violationsOf(good)), '')
})

/** Histories broken by hand: what is done to the good one, and what must be said of it. */
const BROKEN: [check: Check, name: string, hurt: (good: Good) => void][] = [
  ['C1', 'an acknowledged message is not in the log', ({ final }) => void final.messages.splice(3, 1)],
  [
    'C1',
    'an acknowledged message is at another place',
    ({ line }) => {
      line(l => l.seq === 4 && l.op === 'send').seq = 3
    }
  ],
  [
    'C1',
    'an acknowledged edit is not in the log',
    ({ final }) => {
      final.revisions = []
    }
  ],
  [
    'C1',
    'an acknowledged edit says something else',
    ({ final }) => {
      final.messages[0]!.content = 'mark-a s1-1'
    }
  ],
  [
    'C1',
    'an acknowledged delete did not delete',
    ({ final }) => {
      final.messages[1]!.is_deleted = false
    }
  ],
  [
    'C2',
    'a send with an unknown outcome stands twice',
    ({ final }) => void final.messages.push({ ...final.messages[2]!, id: 'm6', seq: 6, version: 10 })
  ],
  [
    'C2',
    'a send without a client_message_id stands twice',
    ({ final }) => {
      final.messages[2]!.client_message_id = null
      final.messages.push({ ...final.messages[2]!, id: 'm6', seq: 6, version: 10 })
    }
  ],
  [
    'C2',
    'one send is acknowledged at two places',
    ({ lines, add }) => {
      const ok = lines.find(l => l.seq === 1 && l.op === 'send')!
      add({ of: ok.of!, id: 'm3', seq: 3, version: 4 })
    }
  ],
  [
    'C3',
    'a seq is missing',
    ({ final }) => {
      final.messages[4]!.seq = 6
    }
  ],
  [
    'C3',
    'a version belongs to no change',
    ({ final }) => {
      final.conversations[0]!.version = 10
    }
  ],
  [
    'C3',
    'a version belongs to two messages',
    ({ final }) => {
      final.messages[3]!.version = 4
    }
  ],
  [
    'C4',
    'a message that was acknowledged before another began stands behind it',
    ({ lines, final }) => {
      const [first, second] = [1, 2].map(seq => lines.find(l => l.op === 'send' && l.type === 'ok' && l.seq === seq)!)
      first!.seq = 2
      second!.seq = 1
      final.messages[0]!.seq = 2
      final.messages[1]!.seq = 1
    }
  ],
  [
    'C4',
    'an edit that was acknowledged before a delete began has a newer version',
    ({ lines }) => {
      lines.find(l => l.op === 'edit' && l.type === 'ok')!.version = 6
      lines.find(l => l.op === 'delete' && l.type === 'ok')!.version = 5
    }
  ],
  ['C5', 'a frame is left out', ({ lines }) => drop(lines, l => l.proc === 'r1' && l.version === 4)],
  [
    'C5',
    'a frame comes twice',
    ({ lines }) =>
      void lines.splice(
        lines.findIndex(l => l.proc === 'r1' && l.version === 4),
        0,
        copy(lines, 'r1', 4)
      )
  ],
  [
    'C5',
    'a reader goes on over a hole that it has seen',
    ({ line }) => {
      line(l => l.proc === 'r1' && l.version === 4).op = 'hole'
    }
  ],
  [
    'C5',
    'a sync begins past what was told',
    ({ line }) => {
      line(l => l.op === 'sync' && l.from === 6).from = 7
    }
  ],
  [
    'C5',
    'a resume is not complete',
    ({ lines }) => {
      lines.findLast(l => l.op === 'resumed')!.complete = false
    }
  ],
  ['C5', 'a reader shows more than it was told', ({ lines }) => drop(lines, l => l.op === 'sync' && l.from === 6)],
  [
    'C5',
    'a frame comes of a conversation that was not named',
    ({ add }) => void add({ proc: 'r3', op: 'frame', conv: 'conversation-x', version: 1 })
  ],
  [
    'C5',
    'a sync comes of a conversation that the reader was removed from',
    ({ add, CONV }) => {
      add({ proc: 'r3', op: 'sync', conv: CONV, from: 1, version: 7, messages: [] })
    }
  ],
  [
    'C6',
    'two readers see two texts at one version',
    ({ lines }) => {
      copyOf(lines, 'r1', 4).messages![0]![3] = 'another'
    }
  ],
  [
    'C6',
    'two readers see two messages at one seq',
    ({ lines }) => {
      copyOf(lines, 'r1', 4).messages![0]![0] = 'm9'
    }
  ],
  [
    'C6',
    'an acknowledgement says something else than the frames',
    ({ line }) => {
      line(l => l.op === 'send' && l.seq === 1).hash = 'another'
    }
  ],
  [
    'C6',
    'the log says something else than the frames',
    ({ final }) => {
      final.messages[3]!.client_message_id = 's1-44'
    }
  ],
  [
    'C7',
    'a deleted message is read again',
    ({ line, seenOf }) => {
      line(l => l.op === 'read' && l.type === 'ok').messages![1] = seenOf('m2', 2, 3, 'mark-a s1-2')
    }
  ],
  [
    'C7',
    'an edited message is read as it was',
    ({ line, seenOf }) => {
      line(l => l.op === 'read' && l.type === 'ok').messages![0] = seenOf('m1', 1, 2, 'mark-a s1-1')
    }
  ],
  [
    'C7',
    'a history is read without its last message',
    ({ line }) => {
      line(l => l.op === 'read' && l.type === 'ok').seq = 3
    }
  ],
  [
    'C8',
    'somebody who was removed is told something long after it',
    ({ lines, add, CONV }) => {
      add({ proc: 'r3', op: 'frame', conv: CONV, version: 9 })
      lines.at(-1)!.t += 5_000
    }
  ],
  [
    'C8',
    'a reader has what was said while they were away',
    ({ final }) => {
      final.participants.find(({ user_id }) => user_id === 'u2')!.absences = [[3, 4]]
    }
  ],
  [
    'C9',
    'the log has a message that nobody sent',
    ({ final }) => {
      final.messages[2]!.client_message_id = 'nobody'
    }
  ],
  [
    'C9',
    'a message is stored with another text',
    ({ final }) => {
      final.messages[3]!.content = 'mark-a s1-4 and more'
    }
  ],
  [
    'C9',
    'a message is stored as somebody else’s',
    ({ final }) => {
      final.messages[3]!.sender_id = 'u2'
    }
  ],
  [
    'C9',
    'a message that was refused is in the log',
    ({ final }) =>
      void final.messages.push({ ...final.messages[3]!, id: 'm9', seq: 6, version: 10, client_message_id: 's1-9', content: 'mark-a s1-9' })
  ],
  [
    'C9',
    'a message is deleted, which nobody did',
    ({ final }) => {
      final.messages[3]!.is_deleted = true
    }
  ],
  ['C9', 'the log tells of a change of membership that nobody made', ({ lines }) => drop(lines, l => l.op === 'remove')],
  ['C10', 'at rest a reader lacks the last message', ({ lines }) => drop(lines, l => l.proc === 'r1' && l.version === 9)],
  [
    'C10',
    'at rest a reader shows the text from before an edit',
    ({ lines }) => {
      copyOf(lines, 'r1', 5).messages = []
    }
  ],
  [
    'C10',
    'at rest a reader does not show a conversation that it is in',
    ({ lines }) => drop(lines, l => l.proc === 'r1' && l.op === 'shows')
  ],
  [
    'C10',
    'at rest a reader shows a conversation that it is not in any more',
    ({ add, CONV }) => {
      add({ proc: 'r3', op: 'shows', conv: CONV, version: 9 })
    }
  ],
  [
    'C11',
    'last_seq is not the last',
    ({ final }) => {
      final.conversations[0]!.last_seq = 4
    }
  ],
  [
    'C11',
    'the last message is another one',
    ({ final }) => {
      final.conversations[0]!.last_message_id = 'm4'
    }
  ],
  [
    'C11',
    'participant_count is not how many are in it',
    ({ final }) => {
      final.conversations[0]!.participant_count = 4
    }
  ],
  [
    'C11',
    'an unread count is wrong by one',
    ({ final }) => {
      final.unread[0]!.unread_count = 4
    }
  ],
  [
    'C11',
    'an acknowledged read position is lost',
    ({ final }) => {
      final.participants[0]!.last_read_seq = 0
    }
  ],
  ['C12', 'a frame carries the mark of another organization', ({ add }) => void add({ proc: 'r1', op: 'leak', value: 'mark-b' })],
  [
    'C12',
    'a frame is of another organization’s conversation',
    ({ add }) => void add({ proc: 'r1', op: 'frame', conv: 'conversation-b', version: 1 })
  ],
  [
    'C12',
    'a message is stored with the mark of another organization',
    ({ final }) => {
      final.messages[3]!.content = 'mark-b s1-4'
    }
  ],
  [
    'answers',
    'an answer is an error of the server’s own',
    ({ line }) => {
      line(l => l.code === 'connection lost').code = 'internal'
    }
  ],
  [
    'answers',
    'a send is refused for good',
    ({ line }) => {
      line(l => l.type === 'fail').code = 'not_a_participant'
    }
  ]
]

function drop(lines: Line[], fits: (line: Line) => boolean): void {
  lines.splice(lines.findIndex(fits), 1)
}

/** A copy of what a reader was told, which may be changed without changing what the others were told. */
function copyOf(lines: Line[], proc: string, version: number): Line {
  const index = lines.findIndex(l => l.proc === proc && l.version === version)
  lines[index] = structuredClone(lines[index]!)
  return lines[index]!
}

const copy = (lines: Line[], proc: string, version: number): Line => structuredClone(copyOf(lines, proc, version))

for (const [wanted, name, hurt] of BROKEN) {
  t.test(`${wanted} finds it when ${name}`, async t => {
    const good = goodHistory()
    hurt(good)
    const found = violationsOf(good)
    t.ok(
      found.some(({ check }) => check === wanted),
      `found: ${describe(found) || 'nothing'}`
    )
  })
}

t.test('C13 finds it when memory, sockets, connections or rows do not return', async t => {
  const before: Sample[] = [
    { name: 'gateway-1', counts: { rss_bytes: 100e6, fds: 30, sockets: 0 } },
    { name: 'postgres', counts: { outbox_rows: 0, idle_in_transaction: 0 } }
  ]
  const after = (gateway: object, postgres = {}): Sample[] => [
    { name: 'gateway-1', counts: { ...before[0]!.counts, ...gateway } },
    { name: 'postgres', counts: { ...before[1]!.counts, ...postgres } }
  ]
  t.same(checkResources(before, after({ rss_bytes: 150e6, fds: 31 })), [])
  for (const wrong of [
    after({ rss_bytes: 400e6 }),
    after({ fds: 100 }),
    after({ sockets: 1 }),
    after({}, { outbox_rows: 1 }),
    after({}, { idle_in_transaction: 1 })
  ]) {
    t.match(checkResources(before, wrong), [{ check: 'C13', what: /was .* and ends at/ }])
  }
  t.match(checkResources(before, [{ name: 'gateway-1', counts: { rss_bytes: 1, sockets: 0 } }, before[1]!]), [
    { what: /could not be counted/ }
  ])
  t.match(checkResources(before, [before[0]!]), [{ what: /postgres is not there any more/ }])
})

t.test('every check has a history that it must find', async t => {
  const tried = new Set<string>([...BROKEN.map(([check]) => check), 'C13'])
  t.same(
    Object.keys(CHECKS).filter(check => !tried.has(check)),
    []
  )
})

t.test('a finding names its check and shows the lines of the history concerned', async t => {
  const good = goodHistory()
  good.final.messages.splice(3, 1)
  const text = describe(violationsOf(good))
  t.match(
    text,
    /^C1 lost: .*: 1\n {2}s1-4 was acknowledged as m4 and is not in the log\n {4}\{"n":\d+.*"key":"s1-4".*\n {4}\{"n":\d+.*"id":"m4"/m
  )
})

t.test('a hundred thousand lines are checked in seconds', async t => {
  const { cast } = goodHistory()
  const lines: Line[] = []
  const final: Final = { conversations: [], messages: [], revisions: [], participants: [], unread: [] }
  const push = (told: Partial<Told>) => lines.push({ n: lines.length, t: lines.length, proc: 's1', type: 'ok', op: 'send', ...told })
  const conv = 'conversation-a'
  push({ proc: 'r1', op: 'connect' })
  push({ proc: 'r1', op: 'ready', heads: { [conv]: 1 } })
  push({ proc: 'r1', op: 'sync', conv, from: 0, version: 1, messages: [] })
  for (let seq = 1; seq <= 34_000; seq++) {
    const message = { id: `m${seq}`, seq, sender_id: 'u1', client_message_id: `s1-${seq}`, content: `mark-a s1-${seq}`, is_deleted: false }
    push({ type: 'invoke', conv, key: `s1-${seq}`, value: message.content })
    push({ of: lines.length - 1, id: message.id, seq, version: seq + 1, hash: hashOf(message) })
    push({ proc: 'r1', op: 'frame', conv, version: seq + 1, messages: [[message.id, seq, seq + 1, hashOf(message), false]] })
    final.messages.push({ ...message, conversation_id: conv, org_id: 'org-a', version: seq + 1, content_type: 'text' })
  }
  push({ proc: 'r1', op: 'shows', conv, version: 34_001 })
  final.conversations.push({
    id: conv,
    org_id: 'org-a',
    last_seq: 34_000,
    version: 34_001,
    participant_count: 1,
    last_message_id: 'm34000'
  })
  final.participants.push({ conversation_id: conv, user_id: 'u1', is_active: true, last_read_seq: 34_000 })
  // What this process takes, whatever else the machine does.
  const since = process.cpuUsage()
  t.equal(describe(check(lines, final, cast)), '')
  const tookMs = process.cpuUsage(since).user / 1_000
  t.ok(tookMs < 10_000, `${Math.round(tookMs)} ms`)
  t.comment(`${lines.length} lines in ${Math.round(tookMs)} ms`)
})
