import type { Line } from '../history.ts'
import type { Context } from './check.ts'
import type { FinalMessage } from './final.ts'
import type { Operation } from './operations.ts'
import type { Findings } from './violation.ts'

/** C1, C2, C9: what was acknowledged is in the log once, as it was said; nothing else is. */
export function checkLog(context: Context, findings: Findings): void {
  const { final, operations, rowsById } = context
  const rowsByKey = new Map<string, FinalMessage[]>()
  const contents = contentsOf(context)
  for (const row of final.messages) {
    if (row.content_type === 'system') continue
    const key = row.client_message_id ?? keyIn(contents.get(row.id)?.[0]?.content ?? '')
    const rows = rowsByKey.get(key)
    if (rows) rows.push(row)
    else rowsByKey.set(key, [row])
  }
  for (const operation of operations.values()) {
    if (operation.op === 'send') checkSend(operation, rowsByKey.get(operation.key) ?? [], findings)
    else if (operation.op === 'edit') checkEdit(operation, contents, findings)
    else if (operation.op === 'delete') checkDelete(operation, rowsById, findings)
  }
  checkPhantoms(context, rowsByKey, contents, findings)
}

/** A send without a client_message_id is known by its content, which carries its key. */
const keyIn = (content: string): string => content.split(' ')[1] ?? content

/** What a message said, first to last, each with the version of the edit that made it; the first one has none. */
function contentsOf({ final }: Context): Map<string, { version: number | undefined; content: string }[]> {
  const revisions = new Map<string, { version: number; content: string }[]>()
  for (const { message_id, version, content } of final.revisions) {
    const list = revisions.get(message_id)
    if (list) list.push({ version, content })
    else revisions.set(message_id, [{ version, content }])
  }
  const contents = new Map<string, { version: number | undefined; content: string }[]>()
  for (const { id, content } of final.messages) {
    const before = (revisions.get(id) ?? []).sort((a, b) => a.version - b.version)
    const said = [...before.map(revision => revision.content), content]
    contents.set(
      id,
      said.map((content, index) => ({ content, version: index === 0 ? undefined : before[index - 1]!.version }))
    )
  }
  return contents
}

function checkSend({ key, oks, invoke }: Operation, rows: readonly FinalMessage[], findings: Findings): void {
  if (rows.length > 1) {
    findings.add(
      'C2',
      `${key} is in the log ${rows.length} times: ${rows.map(row => `${row.conversation_id} ${row.seq}`).join(', ')}`,
      invoke,
      ...oks
    )
  }
  for (const ok of oks) {
    const row = rows.find(({ id }) => id === ok.id)
    if (!row) findings.add('C1', `${key} was acknowledged as ${ok.id} and is not in the log`, invoke, ok)
    else if (row.seq !== ok.seq || row.conversation_id !== invoke.conv) {
      findings.add('C1', `${key} was acknowledged at ${invoke.conv} ${ok.seq} and is at ${row.conversation_id} ${row.seq}`, invoke, ok)
    }
  }
  const [first] = oks
  const other = oks.find(ok => ok.id !== first!.id || ok.seq !== first!.seq)
  if (other) findings.add('C2', `${key} was acknowledged at two places`, first, other)
}

type Contents = ReturnType<typeof contentsOf>

function checkEdit({ key, target, value, oks, invoke }: Operation, contents: Contents, findings: Findings): void {
  for (const ok of oks) {
    const made = contents.get(target ?? '')?.find(({ version }) => version === ok.version)
    if (!made)
      findings.add('C1', `the edit ${key} of ${target} was acknowledged at version ${ok.version} and is not in the log`, invoke, ok)
    else if (made.content !== value) findings.add('C1', `the edit ${key} of ${target} is in the log as ${made.content}`, invoke, ok)
  }
}

function checkDelete({ key, target, oks, invoke }: Operation, rows: Context['rowsById'], findings: Findings): void {
  for (const ok of oks) {
    const row = rows.get(target ?? '')
    if (!row?.is_deleted) findings.add('C1', `the delete ${key} of ${target} was acknowledged and the message stands`, invoke, ok)
    else if (row.version !== ok.version) {
      findings.add('C1', `the delete ${key} of ${target} was acknowledged at version ${ok.version} and is at ${row.version}`, invoke, ok)
    }
  }
}

function checkPhantoms(
  { operations, final, actorOf }: Context,
  rowsByKey: ReadonlyMap<string, FinalMessage[]>,
  contents: Contents,
  findings: Findings
): void {
  const edits = new Map<string, Operation>()
  const deletes = new Map<string, Operation[]>()
  const membership = new Set<string>()
  for (const operation of operations.values()) {
    if (operation.op === 'edit') edits.set(`${operation.target} ${operation.value}`, operation)
    if (operation.op === 'add' || operation.op === 'remove') membership.add(operation.conv)
    if (operation.op !== 'delete') continue
    deletes.set(operation.target!, [...(deletes.get(operation.target!) ?? []), operation])
  }
  for (const [key, rows] of rowsByKey) {
    const send = operations.get(`send ${key}`)
    for (const row of rows) {
      const where = `${row.conversation_id} ${row.seq}`
      const [original, ...edited] = contents.get(row.id) ?? []
      if (!send) findings.add('C9', `${where} is ${JSON.stringify(row.content)}, which nobody sent`)
      else if (isRefused(send)) findings.add('C9', `${where} is ${key}, which was refused`, send.invoke, ...send.fails)
      else if (original?.content !== send.value) findings.add('C9', `${where} is ${JSON.stringify(original?.content)}`, send.invoke)
      else if (actorOf.get(send.proc)?.user_id !== row.sender_id)
        findings.add('C9', `${where} is said to be by ${row.sender_id}`, send.invoke)
      for (const { content } of edited) {
        const edit = edits.get(`${row.id} ${content}`)
        if (!edit || isRefused(edit))
          findings.add('C9', `${where} was edited to ${JSON.stringify(content)}`, edit?.invoke, ...(edit?.fails ?? []))
      }
      const wanted = deletes.get(row.id)
      if (row.is_deleted && (wanted === undefined || wanted.every(isRefused))) {
        findings.add('C9', `${where} is deleted, which nobody did`, ...(wanted?.flatMap(({ fails }): Line[] => fails) ?? []))
      }
    }
  }
  for (const row of final.messages) {
    if (row.content_type === 'system' && !membership.has(row.conversation_id)) {
      findings.add('C9', `${row.conversation_id} ${row.seq} tells of a change that nobody made: ${row.content}`)
    }
  }
}

/** Every attempt was refused for good. */
const isRefused = ({ oks, fails, unknown }: Operation): boolean => oks.length === 0 && unknown === 0 && fails.length > 0
