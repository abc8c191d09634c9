import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { check, Message } from '@parley/contracts'
import { failOnLeftovers, freshDatabase } from '@parley/test-kit'
import t from 'tap'
import ts from 'typescript'
import { changeFrame, type MessageRow, type NewMessage, newMessageJson, toMessage } from '../src/message.ts'

failOnLeftovers(t)

interface Column {
  type: string
  nullable: boolean
  hasDefault: boolean
}

/** The columns that `db.ts` declares, by table and name. */
function declaredColumns(): Record<string, Record<string, Column>> {
  const url = new URL('../src/db.ts', import.meta.url)
  const source = ts.createSourceFile('db.ts', readFileSync(url, 'utf8'), ts.ScriptTarget.Latest)
  const tables = source.statements.find(node => ts.isInterfaceDeclaration(node) && node.name.text === 'Tables') as ts.InterfaceDeclaration
  const text = (node: ts.Node) => node.getText(source)
  const members = (node: ts.Node) => (node as ts.TypeLiteralNode).members.filter(ts.isPropertySignature)
  const toColumn = (type: string): Column => {
    const [, wrapper, inner = type] = /^(Generated|ColumnType)<(.*)>$/s.exec(type) ?? []
    // Of what is read, written first and written later, the second says whether a value must be given.
    const [read, inserted = ''] = wrapper === 'ColumnType' ? inner.split(/,\s*(?![^<]*>)/) : [inner]
    const parts = read!.split('|').map(part => part.trim())
    return {
      type: parts.filter(part => part !== 'null').join(' | '),
      nullable: parts.includes('null'),
      hasDefault: wrapper === 'Generated' || inserted.includes('undefined')
    }
  }
  return Object.fromEntries(
    tables.members
      .filter(ts.isPropertySignature)
      .map(table => [
        text(table.name),
        Object.fromEntries(members(table.type!).map(column => [text(column.name), toColumn(text(column.type!))]))
      ])
  )
}

const ARRIVES_AS: Record<string, string> = {
  uuid: 'string',
  text: 'string',
  timestamptz: 'string',
  int4: 'number',
  int8: 'number',
  bool: 'boolean',
  jsonb: 'Record<string, unknown>',
  tsvector: 'string',
  _uuid: 'string[]',
  _int8: 'number[]'
}

t.test('the tables that the code knows are the tables that the database has, column by column', async t => {
  const database = await freshDatabase(t)
  const rows = await database.query<{ table: string; column: string; type: string; nullable: boolean; hasDefault: boolean }>(
    `select table_name as table, column_name as column, udt_name as type, is_nullable = 'YES' as nullable, column_default is not null as "hasDefault"
     from information_schema.columns where table_schema = 'messaging' and table_name not in ('migrations', 'migration_lock')`
  )
  const real: Record<string, Record<string, Column>> = {}
  for (const { table, column, type, ...rest } of rows) {
    real[table] ??= {}
    real[table][column] = { type: ARRIVES_AS[type] ?? type, ...rest }
  }
  t.ok(rows.length > 60)
  t.same(declaredColumns(), real)
})

const row = (more: Partial<MessageRow> = {}): MessageRow => ({
  id: randomUUID(),
  conversation_id: randomUUID(),
  seq: 1,
  version: 2,
  sender_id: randomUUID(),
  username: 'ada',
  display_name: 'Ada',
  avatar_url: null,
  content: 'hello',
  content_type: 'text',
  reply_to_id: null,
  reply_count: 0,
  metadata: null,
  client_message_id: null,
  created_at: '2026-01-20T10:30:00.000Z',
  updated_at: '2026-01-20T10:30:00.000Z',
  edited_at: null,
  deleted_at: null,
  pinned_at: null,
  mentions: null,
  mention_all: false,
  forwarded_from: null,
  reactions: null,
  ...more
})

t.test('a message just sent is written byte for byte as the same message is read later', async t => {
  const metadata = { b: [1, { 'ключ "x"': '\u2028' }], a: null }
  const cases: Partial<MessageRow>[] = [
    {},
    { reply_to_id: randomUUID(), client_message_id: 'c-1', avatar_url: 'https://example.com/a.png?x="1"' },
    {
      content: 'line\nfeed "quoted" \\ back 😀 한 \u2028 \t </script>',
      display_name: 'O"Brien\\ 한',
      username: 'o"b',
      client_message_id: '"\\'
    },
    { metadata },
    { mentions: [randomUUID(), randomUUID()], mention_all: true, forwarded_from: randomUUID() },
    { content_type: 'image', seq: 9_007_199_254_740_991, version: 9_007_199_254_740_991 }
  ]
  for (const some of cases) {
    const { edited_at: _, deleted_at: __, updated_at: ___, reply_count: ____, ...sent } = row(some)
    const fresh: NewMessage = { ...sent, metadata: sent.metadata && JSON.stringify(sent.metadata) }
    const message = toMessage(row(sent))
    t.equal(newMessageJson(fresh), JSON.stringify(message))
    t.same(Object.keys(message), Object.keys(Message.properties), 'in the order of the contract')
    t.doesNotThrow(() => check(Message, message))
    const frame = changeFrame('new_message', sent.conversation_id, sent.version, newMessageJson(fresh))
    t.equal(frame, JSON.stringify({ type: 'new_message', conversation_id: sent.conversation_id, version: sent.version, message }))
  }
})

t.test('a deleted message keeps its place and its sender, and nothing that it said', async t => {
  const at = '2026-01-21T00:00:00.000Z'
  const message = toMessage(row({ content: 'secret', metadata: { secret: 1 }, edited_at: at, deleted_at: at, client_message_id: 'c-1' }))
  t.match(message, { content: '', metadata: {}, is_deleted: true, is_edited: true, deleted_at: at, seq: 1, client_message_id: 'c-1' })
  t.notMatch(JSON.stringify(message), 'secret')
  t.doesNotThrow(() => check(Message, message))
})
