import type { Database } from '@parley/pg-kit'
import type { Tables } from '../db.ts'
import { changesAt } from '../queries/changes-at.ts'
import { conversationsAfter, versionBefore, versionsAfter } from '../queries/changes-since.ts'
import { packed } from './publish.ts'

/** Together with what they hold about 6 MB at the very most: no more than that is ever in memory. */
const PAGE_MAX = 200
const CONVERSATIONS_PAGE_MAX = 1_000
const FIRST = '00000000-0000-0000-0000-000000000000'

export interface RepublishOptions {
  /** Nothing that has not changed since this time. */
  since?: string | undefined
  /** This one alone. */
  conversation_id?: string | undefined
  /** Conversations are taken in the order of their ids: only those after this one. */
  after?: string | undefined
  /** So that whoever reads and writes meanwhile is not held up. */
  changesPerSecond: number
  signal?: AbortSignal | undefined
  onProgress?: (progress: Progress) => void
}

export interface Progress {
  conversations: number
  changes: number
  /** The last one that is done: to go on after it. */
  conversation_id: string | undefined
}

/**
 * Puts what stands in the tables into the stream again: every message as it is now, everyone who came, went or has
 * another role, and what conversations changed to; each at its newest version and in their order, conversation by
 * conversation. Whoever has a version already passes it over, so it may be run at any time, twice, or from where it ended.
 *
 * People are not told anew that they are in a conversation: that is not kept in the stream, and what has changed between
 * the reading and the telling would let somebody in who was removed meanwhile.
 *
 * @param publish resolves once the stream has the lines, and throws where it does not take them
 */
export async function republish(
  db: Database<Tables>,
  publish: (lines: Uint8Array) => Promise<void>,
  { since, conversation_id, after = FIRST, changesPerSecond, signal, onProgress }: RepublishOptions
): Promise<Progress> {
  const progress: Progress = { conversations: 0, changes: 0, conversation_id: undefined }
  const startedAt = Date.now()
  const keepPace = async () => {
    const aheadMs = (progress.changes / changesPerSecond) * 1_000 - (Date.now() - startedAt)
    if (aheadMs > 0) await new Promise(resolve => setTimeout(resolve, aheadMs))
  }
  const ids = conversation_id === undefined ? changedSince(db, since, after) : [conversation_id]
  for await (const id of ids) {
    let version = since === undefined ? 0 : await db.query(tx => versionBefore(tx, id, since))
    for (;;) {
      if (signal?.aborted) return progress
      const page = await readPage(db, id, version)
      if (page.lines.length === 0) break
      for (const lines of packed(page.lines)) await publish(lines)
      version = page.version
      progress.changes += page.lines.length
      onProgress?.(progress)
      await keepPace()
    }
    progress.conversations++
    progress.conversation_id = id
  }
  return progress
}

async function* changedSince(db: Database<Tables>, since: string | undefined, after: string): AsyncGenerator<string> {
  for (let last = after; ; ) {
    const page = await db.query(tx => conversationsAfter(tx, last, CONVERSATIONS_PAGE_MAX))
    if (page.length === 0) return
    for (const { id, updated_at } of page) if (since === undefined || updated_at >= since) yield id
    last = page.at(-1)!.id
  }
}

const encoder = new TextEncoder()

/** The next changes of a conversation, of one moment: what is changed while they are read comes with its later version. */
function readPage(db: Database<Tables>, conversation_id: string, since: number): Promise<{ lines: Uint8Array[]; version: number }> {
  return db.transaction(
    async tx => {
      const versions = await versionsAfter(tx, conversation_id, since, PAGE_MAX)
      const found = versions.length > 0 ? await changesAt(tx, conversation_id, versions, []) : undefined
      return {
        lines: (found?.changes ?? []).map(change => encoder.encode(JSON.stringify(change))),
        version: versions.at(-1) ?? since
      }
    },
    { snapshot: true }
  )
}
