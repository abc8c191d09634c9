import type { Line } from '../history.ts'
import type { Context } from './check.ts'
import type { Findings } from './violation.ts'

/** C7: a page asked for after something was acknowledged shows at least that: no deleted text, no older version, no shorter history. */
export function checkReads({ lines, operations }: Context, findings: Findings): void {
  const starts = new Map<number, Line>()
  const owners = new Map<number, { op: string; target: string | undefined; conv: string }>()
  for (const operation of operations.values()) for (const ok of operation.oks) owners.set(ok.n, operation)
  /** What was acknowledged up to the line that is looked at; a read compares with what stood when it began. */
  const versions = new Map<string, { version: number; line: Line; isDelete: boolean }>()
  const heads = new Map<string, { seq: number; line: Line }>()
  const standing = new Map<number, { head: { seq: number; line: Line } | undefined }>()
  for (const line of lines) {
    if (line.op === 'read' && line.type === 'invoke') {
      starts.set(line.n, line)
      standing.set(line.n, { head: heads.get(line.conv ?? '') })
    } else if (line.op === 'read' && line.type === 'ok') {
      checkPage(line, starts.get(line.of!), standing.get(line.of!)?.head, versions, findings)
    } else if (line.type === 'ok' && owners.has(line.n)) {
      const { op, target, conv } = owners.get(line.n)!
      const id = target ?? line.id
      if (op === 'send' && line.seq !== undefined && line.seq > (heads.get(conv)?.seq ?? 0)) heads.set(conv, { seq: line.seq, line })
      if ((op === 'edit' || op === 'delete' || op === 'send') && id !== undefined && line.version !== undefined) {
        if (line.version > (versions.get(id)?.version ?? 0)) versions.set(id, { version: line.version, line, isDelete: op === 'delete' })
      }
    }
  }
}

function checkPage(
  line: Line,
  start: Line | undefined,
  head: { seq: number; line: Line } | undefined,
  versions: ReadonlyMap<string, { version: number; line: Line; isDelete: boolean }>,
  findings: Findings
): void {
  if (!start) return
  if (head && (line.seq ?? 0) < head.seq) {
    findings.add('C7', `${line.conv}: a history of ${line.seq} was read after ${head.seq} was acknowledged`, head.line, start, line)
  }
  for (const [id, seq, version, , isDeleted] of line.messages ?? []) {
    const known = versions.get(id)
    // Acknowledged while the read was on its way: it may have seen either.
    if (!known || known.line.n > start.n) continue
    if (known.isDelete && !isDeleted) findings.add('C7', `${line.conv} ${seq}: a deleted message was read again`, known.line, start, line)
    else if (version < known.version) {
      findings.add(
        'C7',
        `${line.conv} ${seq}: version ${version} was read after ${known.version} was acknowledged`,
        known.line,
        start,
        line
      )
    }
  }
}

/** C8: nothing of a conversation reaches somebody whose removal was acknowledged longer than the bound ago. */
export function checkAuthority({ lines, operations, cast, bounds }: Context, findings: Findings): void {
  const changes = new Map<string, { isIn: boolean; invoke: Line; ok: Line }[]>()
  for (const { op, conv, target, invoke, oks } of operations.values()) {
    if ((op !== 'add' && op !== 'remove') || oks.length === 0) continue
    const key = `${conv} ${target}`
    changes.set(key, [...(changes.get(key) ?? []), { isIn: op === 'add', invoke, ok: oks[0]! }])
  }
  if (changes.size === 0) return
  const people = new Map(cast.actors.map(({ proc, user_id }) => [proc, user_id]))
  for (const line of lines) {
    if (line.op !== 'frame' && line.op !== 'sync') continue
    const mine = changes.get(`${line.conv} ${people.get(line.proc)}`)
    const removal = mine?.findLast(({ isIn, ok }) => !isIn && ok.n < line.n)
    if (!removal || line.t - removal.ok.t <= bounds.authorityMs) continue
    if (mine!.some(({ isIn, invoke }) => isIn && invoke.n > removal.invoke.n && invoke.n < line.n)) continue
    findings.add('C8', `${line.proc} was told of ${line.conv} ${Math.round(line.t - removal.ok.t)} ms after its removal`, removal.ok, line)
  }
}

/** C12: nothing that anybody was told carries the mark of another organization. */
export function checkTenancy({ lines, final, cast, actorOf }: Context, findings: Findings): void {
  const orgs = new Map(cast.conversations.map(({ id, org_id }) => [id, org_id]))
  for (const line of lines) {
    if (line.op === 'leak') findings.add('C12', `${line.proc} was told something with ${line.value}`, line)
    const org = actorOf.get(line.proc)?.org_id
    const ofConversation = line.conv === undefined ? undefined : orgs.get(line.conv)
    if (org !== undefined && ofConversation !== undefined && org !== ofConversation && line.type === 'ok') {
      findings.add('C12', `${line.proc} was told of ${line.conv}, which is another organization's`, line)
    }
  }
  for (const row of final.messages) {
    const mark = Object.entries(cast.marks).find(([, text]) => row.content.includes(text))
    if (mark && mark[0] !== row.org_id) findings.add('C12', `${row.conversation_id} ${row.seq} has the mark of another organization`)
  }
}

/** Everything that is refused in a fault may be tried again; a refusal for good, or an error of ours, is a defect. */
export function checkAnswers({ lines, bounds }: Context, findings: Findings): void {
  for (const line of lines) {
    if (line.of === undefined || line.code === undefined) continue
    if (line.code === 'internal') findings.add('answers', `${line.op} was answered by an error of the server's own`, line)
    else if (line.type === 'fail' && !bounds.refusals.includes(line.code))
      findings.add('answers', `${line.op} was refused: ${line.code}`, line)
  }
}
