import { hashOf, type Line, type Seen } from '../history.ts'
import type { Context } from './check.ts'
import type { Findings } from './violation.ts'

interface View {
  /** Up to here the reader has everything. */
  held: number
  /** Up to here its connection has told everything; undefined before it named the conversation. */
  live: number | undefined
  since: number
  readonly messages: Map<string, { seen: Seen; line: Line }>
  /** It was told here that it came in; what was before is not its to know. */
  cameAt: number
}

/** C5, C10: follows each reader through its connections by what it was told, and compares what it ends with. */
export function checkReaders(context: Context, findings: Findings): void {
  const comers = comersOf(context)
  const readers = new Map<string, Map<string, View>>()
  for (const line of context.lines) {
    let views = readers.get(line.proc)
    if (line.op === 'connect' || line.op === 'ready') {
      views ??= new Map()
      readers.set(line.proc, views)
      if (line.op === 'connect') for (const view of views.values()) view.live = undefined
      else takeReady(views, line, findings)
    } else if (views && line.conv !== undefined) {
      takeFrame(views, line, findings)
    } else if (line.op === 'resumed') {
      // Who is removed at that moment cannot be put in step with what they are no longer in.
      if (comers.has(line.proc)) continue
      if (line.type === 'fail') findings.add('C5', `${line.proc}: a resume was refused: ${line.code}`, line)
      else if (line.complete === false) findings.add('C5', `${line.proc}: a resume was not complete`, line)
    }
  }
  checkAtRest(context, readers, findings)
}

function takeReady(views: Map<string, View>, line: Line, findings: Findings): void {
  for (const conv of views.keys()) if (line.heads?.[conv] === undefined) views.delete(conv)
  for (const [conv, version] of Object.entries(line.heads ?? {})) {
    const view = viewOf(views, conv)
    if (version < view.held) findings.add('C5', `${line.proc}: ready says ${conv} is at ${version}, it was told ${view.held} before`, line)
    view.live = version
    view.since = version
  }
}

function takeFrame(views: Map<string, View>, line: Line, findings: Findings): void {
  const { op, proc, conv = '', version = 0, from = 0 } = line
  if (op === 'removed') return void views.delete(conv)
  if (op === 'hole') {
    const at = viewOf(views, conv).live
    return findings.add('C5', `${proc} ${conv}: ${version} came after ${at}, with no sync before it`, line)
  }
  if (op !== 'frame' && op !== 'sync' && op !== 'added') return
  const view = viewOf(views, conv)
  if (op === 'added') {
    view.held = Math.max(view.held, version)
    view.live = version
    view.since = version
    view.cameAt = version
  } else if (op === 'sync') {
    const known = Math.max(view.held, view.live ?? 0)
    if (from > known) findings.add('C5', `${proc} ${conv}: a sync from ${from}, though ${known} is the last it was told`, line)
    if (version < from) findings.add('C5', `${proc} ${conv}: a sync from ${from} back to ${version}`, line)
    if (from <= view.held) view.held = Math.max(view.held, version)
    if (view.live === undefined || from <= view.live) view.live = Math.max(view.live ?? 0, version)
  } else {
    if (view.live === undefined) findings.add('C5', `${proc} ${conv}: ${version} of a conversation that was not named`, line)
    else if (version <= view.live) findings.add('C5', `${proc} ${conv}: ${version} came after ${view.live}`, line)
    else if (version > view.live + 1) findings.add('C5', `${proc} ${conv}: ${version} was applied after ${view.live}: a hole`, line)
    if (view.live !== undefined) view.live = Math.max(view.live, version)
  }
  if (view.live !== undefined && view.held >= view.since) view.held = Math.max(view.held, view.live)
  for (const seen of line.messages ?? []) apply(view, seen, line, findings)
}

/** Put in place by id, and only over an older version. */
function apply({ messages }: View, seen: Seen, line: Line, findings: Findings): void {
  const [id, seq, version] = seen
  const known = messages.get(id)
  if (known && known.seen[1] !== seq) findings.add('C5', `${line.proc}: ${id} was at ${known.seen[1]} and is at ${seq}`, known.line, line)
  if (!known || version > known.seen[2]) messages.set(id, { seen, line })
}

/** What a reader says it shows must be what it was told without a hole, and that must be what the server has. */
function checkAtRest(context: Context, readers: Map<string, Map<string, View>>, findings: Findings): void {
  const { lines, final, rowsByConversation, cast } = context
  const versions = new Map(final.conversations.map(({ id, version }) => [id, version]))
  const sentAt = versionsOfSends(context)
  const shown = new Set<string>()
  const absences = absencesOf(context)
  for (const line of lines) {
    if (line.op !== 'shows') continue
    const { proc, conv = '', version } = line
    shown.add(`${proc} ${conv}`)
    const view = readers.get(proc)?.get(conv)
    if (!view || view.held !== version) {
      findings.add('C5', `${proc} ${conv}: it shows ${version} as complete, without a hole it was told ${view?.held ?? 'nothing'}`, line)
    }
    if (version !== versions.get(conv)) {
      findings.add('C10', `${proc} ${conv}: at rest it is at ${version}, the server at ${versions.get(conv)}`, line)
    }
    if (!view) continue
    for (const row of rowsByConversation.get(conv) ?? []) {
      const held = view.messages.get(row.id)
      const isHidden = absences.get(`${proc} ${conv}`)?.some(([from, until]) => from <= row.seq && row.seq <= until)
      if (held && isHidden) findings.add('C8', `${proc} ${conv}: it has ${row.id} at ${row.seq}, said while it was away`, held.line)
      if (!held && !isHidden && (view.cameAt === 0 || (sentAt.get(row.id) ?? 0) > view.cameAt))
        findings.add('C10', `${proc} ${conv}: it does not have ${row.id} at ${row.seq}`, line)
      if (!held) continue
      const [id, seq, heldVersion, hash] = held.seen
      if (heldVersion !== row.version || hash !== hashOf(row)) {
        findings.add('C10', `${proc} ${conv}: ${id} at ${seq} is shown at version ${heldVersion}, the server has ${row.version}`, held.line)
      }
    }
    const rows = rowsByConversation.get(conv) ?? []
    const known = new Set(rows.map(({ id }) => id))
    for (const [id, { line: told }] of view.messages) {
      if (!known.has(id)) findings.add('C10', `${proc} ${conv}: it shows ${id}, which the server does not have`, told)
    }
  }
  if (shown.size === 0) return
  for (const { proc, user_id } of cast.actors) {
    if (!readers.has(proc)) continue
    for (const { conversation_id, is_active } of final.participants.filter(one => one.user_id === user_id)) {
      const isShown = shown.has(`${proc} ${conversation_id}`)
      if (isShown !== is_active)
        findings.add('C10', `${proc} ${conversation_id}: it is ${is_active ? 'in it and does not show it' : 'not in it and shows it'}`)
    }
  }
}

/** What each reader is not to have of each conversation. */
function absencesOf({ cast, final }: Context): ReadonlyMap<string, readonly (readonly [from: number, until: number])[]> {
  const procs = new Map(cast.actors.map(({ proc, user_id }) => [user_id, proc]))
  return new Map(
    final.participants.flatMap(({ conversation_id, user_id, absences }) =>
      absences ? [[`${procs.get(user_id)} ${conversation_id}`, absences] as const] : []
    )
  )
}

/** People who come and go: for each of them somebody was asked to remove them. */
function comersOf({ operations, cast }: Context): ReadonlySet<string> {
  const removed = new Set([...operations.values()].filter(({ op }) => op === 'remove').map(({ target }) => target))
  return new Set(cast.actors.filter(({ user_id }) => removed.has(user_id)).map(({ proc }) => proc))
}

/** Where messages began, whatever became of them since; only of those that were acknowledged. */
function versionsOfSends({ operations }: Context): ReadonlyMap<string, number> {
  const versions = new Map<string, number>()
  for (const { op, oks } of operations.values()) if (op === 'send' && oks[0]) versions.set(oks[0].id!, oks[0].version!)
  return versions
}

function viewOf(views: Map<string, View>, conv: string): View {
  let view = views.get(conv)
  if (!view) {
    view = { held: 0, live: undefined, since: Number.POSITIVE_INFINITY, messages: new Map(), cameAt: 0 }
    views.set(conv, view)
  }
  return view
}

/** C6: whoever sees a conversation at a version, or at a seq, sees the same: in frames, syncs, pages, acknowledgements and the log. */
export function checkAgreement({ lines, final, operations }: Context, findings: Findings): void {
  const atVersion = new Map<string, { id: string; hash: string; line: Line | undefined }>()
  const atSeq = new Map<string, { id: string; line: Line | undefined }>()
  const look = (conv: string, [id, seq, version, hash]: Seen, line: Line | undefined) => {
    const place = `${conv} ${version}`
    const there = atVersion.get(place)
    if (!there) atVersion.set(place, { id, hash, line })
    else if (there.id !== id || there.hash !== hash)
      findings.add('C6', `${conv}: two messages or texts at version ${version}`, there.line, line)
    const other = atSeq.get(`${conv} ${seq}`)
    if (!other) atSeq.set(`${conv} ${seq}`, { id, line })
    else if (other.id !== id) findings.add('C6', `${conv}: two messages at seq ${seq}`, other.line, line)
  }
  for (const line of lines) for (const seen of line.messages ?? []) look(line.conv ?? '', seen, line)
  for (const { conv, oks } of operations.values()) {
    for (const ok of oks) if (ok.hash !== undefined) look(conv, [ok.id!, ok.seq!, ok.version!, ok.hash, false], ok)
  }
  for (const row of final.messages) look(row.conversation_id, [row.id, row.seq, row.version, hashOf(row), row.is_deleted], undefined)
}
