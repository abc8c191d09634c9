import type { Person } from '@parley/test-kit'
import type { Final } from './checker/final.ts'
import type { FaultPlatform } from './platform.ts'

const ROWS_AT_ONCE = 20_000

/** Reads what the database holds in the end, past row-level security, and what the server says of unread counts. */
export async function readFinal(
  { database, client }: Pick<FaultPlatform, 'database' | 'client'>,
  people: readonly Person[]
): Promise<Final> {
  const messages: Final['messages'] = []
  for (let isOver = false; !isOver; ) {
    const last = messages.at(-1)
    const rows = await database.query<Final['messages'][number]>(
      `select id, conversation_id, org_id, seq::int as seq, version::int as version, sender_id, client_message_id, content, content_type,
         deleted_at is not null as is_deleted
       from messaging.messages where (conversation_id, seq) > ($1, $2) order by conversation_id, seq limit $3`,
      [last?.conversation_id ?? '00000000-0000-0000-0000-000000000000', last?.seq ?? 0, ROWS_AT_ONCE]
    )
    messages.push(...rows)
    isOver = rows.length < ROWS_AT_ONCE
  }
  const unread: Final['unread'] = []
  for (const who of people) {
    const { status, body } = await client(who).get('/unread')
    if (status !== 200) throw new Error(`unread counts cannot be read: ${status} ${JSON.stringify(body)}`)
    for (const { conversation_id, unread_count } of body.conversations) unread.push({ user_id: who.id, conversation_id, unread_count })
  }
  return {
    conversations: await database.query(
      `select id, org_id, last_seq::int as last_seq, version::int as version, participant_count, last_message_id from messaging.conversations`
    ),
    messages,
    revisions: await database.query('select message_id, version::int as version, content from messaging.message_revisions'),
    participants: await database.query(
      `select conversation_id, user_id, is_active, last_read_seq::int as last_read_seq,
         (select json_agg(json_build_array(from_seq, until_seq)) from messaging.absences a
          where a.conversation_id = p.conversation_id and a.user_id = p.user_id) as absences
       from messaging.participants p`
    ),
    unread
  }
}
