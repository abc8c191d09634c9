import pg from 'pg'

/**
 * Loaded into a message-store before anything else: the process kills itself at the moment in which it learns that its
 * messages, or a change of who is in a conversation, are committed, before it has told anybody. What it leaves is what a
 * power cut at that moment leaves.
 */
const client = pg.Client.prototype as unknown as { query: (...args: unknown[]) => unknown }
const query = client.query
const changing = new WeakSet<object>()

client.query = function (...args) {
  const result = query.apply(this, args)
  const [first] = args as [(string | { text?: string; values?: unknown[] })?]
  const { text = '', values = [] } = typeof first === 'string' ? { text: first } : (first ?? {})
  if (values.includes('conversation_changed')) changing.add(this)
  const isCommit = /\bsend_(batch|one)\(/.test(text) || (text === 'commit' && changing.has(this))
  if (!isCommit || !(result instanceof Promise)) return result
  return result.then(rows => {
    process.kill(process.pid, 'SIGKILL')
    return rows
  })
}
