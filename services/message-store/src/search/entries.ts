import type { Kysely } from '@parley/pg-kit'
import type { Tables } from '../db.ts'
import type { MessageRow } from '../message.ts'
import { writeEntries } from '../queries/search.ts'
import { lexemesOf } from './lexemes.ts'

type Changed = Pick<MessageRow, 'id' | 'conversation_id' | 'seq' | 'version' | 'sender_id' | 'content' | 'content_type'>

/** Puts what a message says now in place of what it said, in the transaction that changes it. */
export async function replaceEntry(db: Kysely<Tables>, message: Changed, org_id: string): Promise<void> {
  await write(db, message, org_id, lexemesOf({ ...message, org_id }))
}

/** Takes a message out of what can be found, in the transaction that deletes it: whoever comes late with what it said finds a newer version. */
export async function removeEntry(db: Kysely<Tables>, message: Changed, org_id: string): Promise<void> {
  await write(db, message, org_id, [])
}

function write(
  db: Kysely<Tables>,
  { id, conversation_id, seq, version }: Changed,
  org_id: string,
  lexemes: Iterable<string>
): Promise<void> {
  return writeEntries(db, [{ message_id: id, conversation_id, seq, org_id, version, lexemes }])
}
