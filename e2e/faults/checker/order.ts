import type { Line } from '../history.ts'
import type { Context } from './check.ts'
import type { Findings } from './violation.ts'

/** C3: seq is 1, 2, 3 … and every version belongs to one change. */
export function checkDensity({ final, rowsByConversation }: Context, findings: Findings): void {
  const revisions = new Map<string, number[]>()
  for (const { message_id, version } of final.revisions) revisions.set(message_id, [...(revisions.get(message_id) ?? []), version])
  for (const { id, version } of final.conversations) {
    const rows = rowsByConversation.get(id) ?? []
    rows.forEach((row, index) => {
      if (row.seq !== index + 1) findings.add('C3', `${id}: seq ${index + 1} is not there, ${row.seq} is`)
    })
    // A change of membership takes a version, and the system message that tells of it takes another one.
    const changes = rows.reduce(
      (sum, row) => sum + 1 + (revisions.get(row.id)?.length ?? 0) + (row.is_deleted ? 1 : 0) + (row.content_type === 'system' ? 1 : 0),
      1
    )
    if (changes !== version) findings.add('C3', `${id}: version ${version}, but ${changes} changes are in the log`)
    const owners = new Map<number, string>()
    for (const row of rows) {
      for (const taken of new Set([row.version, ...(revisions.get(row.id) ?? [])])) {
        const owner = owners.get(taken)
        if (owner !== undefined && owner !== row.id) findings.add('C3', `${id}: version ${taken} is ${owner} and ${row.id}`)
        if (taken > version) findings.add('C3', `${id}: ${row.id} has version ${taken}, past the conversation's ${version}`)
        owners.set(taken, row.id)
      }
    }
  }
}

interface Placed {
  place: number
  invoke: Line
  ok: Line
}

/** C4: if A was acknowledged before B began, A comes before B, by seq and by version. */
export function checkRealTime({ operations }: Context, findings: Findings): void {
  const bySeq = new Map<string, Placed[]>()
  const byVersion = new Map<string, Placed[]>()
  for (const { op, conv, oks, invoke } of operations.values()) {
    const [ok] = oks
    if (!ok || (op !== 'send' && op !== 'edit' && op !== 'delete')) continue
    if (op === 'send' && ok.seq !== undefined) put(bySeq, conv, { place: ok.seq, invoke, ok })
    if (ok.version !== undefined) put(byVersion, conv, { place: ok.version, invoke, ok })
  }
  for (const [word, places] of [
    ['seq', bySeq],
    ['version', byVersion]
  ] as const) {
    for (const [conv, placed] of places) {
      placed.sort((a, b) => a.place - b.place)
      // The one that began last among those placed before; whoever was acknowledged before it began stands too late.
      let latest: Placed | undefined
      for (const one of placed) {
        if (latest && latest.place < one.place && one.ok.n < latest.invoke.n) {
          findings.add(
            'C4',
            `${conv}: ${word} ${one.place} was acknowledged before ${latest.place} began`,
            one.ok,
            latest.invoke,
            latest.ok
          )
        }
        if (!latest || one.invoke.n > latest.invoke.n) latest = one
      }
    }
  }
}

function put(places: Map<string, Placed[]>, conv: string, placed: Placed): void {
  const list = places.get(conv)
  if (list) list.push(placed)
  else places.set(conv, [placed])
}
