import pg from 'pg'

/**
 * Loaded into a message-store before anything else: the process kills itself at the moment in which it learns that its
 * messages, or a change of who is in a conversation, are committed, before it has told anybody. What it leaves is what a
 * power cut at that moment leaves. With `PARLEY_TEST_DIES=before` it dies with messages stored in a transaction that it has
 * not committed.
 */
const client = pg.Client.prototype as unknown as { query: (...args: unknown[]) => unknown }
const query = client.query
const open = new WeakSet<object>()
const changing = new WeakSet<object>()

client.query = function (...args) {
  const result = query.apply(this, args)
  const [first] = args as [(string | { text?: string; values?: unknown[] })?]
  const { text = '', values = [] } = typeof first === 'string' ? { text: first } : (first ?? {})
  const isSend = /\bsend_(batch|one)\(/.test(text)
  if (text.startsWith('begin')) open.add(this)
  const isEarly = isSend && open.has(this) && process.env.PARLEY_TEST_DIES === 'before'
  if (values.includes('conversation_changed') || (isSend && open.has(this))) changing.add(this)
  const isCommit = isSend ? !open.has(this) : text === 'commit' && changing.has(this)
  if (text === 'commit' || text === 'rollback') open.delete(this)
  if (!(isCommit || isEarly) || !(result instanceof Promise)) return result
  return result.then(rows => {
    process.kill(process.pid, 'SIGKILL')
    return rows
  })
}
