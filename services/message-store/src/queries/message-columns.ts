import { sql } from '@parley/pg-kit'
import { REACTIONS } from './reactions.ts'

/** What makes a `MessageRow`, from `messages m` joined with its sender `users u`. */
export const MESSAGE_COLUMNS = sql`
  m.id, m.conversation_id, m.seq, m.version, m.sender_id, u.username, u.display_name, u.avatar_url, m.content, m.content_type, m.reply_to_id,
  (select count(*) from messages r where r.reply_to_id = m.id and r.deleted_at is null) as reply_count,
  m.metadata, m.client_message_id, m.created_at, m.updated_at, m.edited_at, m.deleted_at, m.pinned_at, m.mentions, m.mention_all, m.forwarded_from,
  ${REACTIONS} as reactions`

export const WITH_SENDER = sql`messages m join users u on u.org_id = m.org_id and u.id = m.sender_id`
