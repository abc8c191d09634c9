/** What the database holds when all is over, and what the server says of it. */
export interface Final {
  conversations: FinalConversation[]
  messages: FinalMessage[]
  /** What a message said before each of its edits; `version` is that of the edit. */
  revisions: { message_id: string; version: number; content: string }[]
  participants: FinalParticipant[]
  /** Answers of `GET /unread`. */
  unread: { user_id: string; conversation_id: string; unread_count: number }[]
}

export interface FinalConversation {
  id: string
  org_id: string
  last_seq: number
  version: number
  participant_count: number
  last_message_id: string | null
}

export interface FinalMessage {
  id: string
  conversation_id: string
  org_id: string
  seq: number
  version: number
  sender_id: string
  client_message_id: string | null
  /** As it is stored: a deleted message's is kept. */
  content: string
  content_type: string
  is_deleted: boolean
}

export interface FinalParticipant {
  conversation_id: string
  user_id: string
  is_active: boolean
  last_read_seq: number
  /** From one seq to another, both included: what was said while they were away, which they are not to have. */
  absences?: (readonly [from: number, until: number])[] | null
}
