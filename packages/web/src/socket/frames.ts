import type { Changes, Conversation, Message, Mine, Participant, SharedConversation } from '../api/types.ts'

/** What the server sends, as far as this client acts on it; other types are passed over. */
export type ServerFrame =
  | ReadyFrame
  | ({ type: 'ack'; id?: string } & Record<string, unknown>)
  | ErrorFrame
  | VersionedFrame
  | { type: 'conversation_added' | 'conversation_removed'; conversation_id: string; conversation?: Conversation }
  | { type: 'resumed'; complete: boolean; reset?: string[]; removed?: string[] }
  | { type: 'message_read'; conversation_id: string; user_id: string; seq: number }
  | { type: 'unread'; conversation_id: string; unread_count: number }
  | { type: 'membership_updated'; conversation_id: string; my: Mine }
  | { type: 'token_expiring'; expires_at: string }
  | { type: 'reconnect'; delay_ms: number }
  | { type: 'pong' }

/** Lasting changes: each has its place among the versions of its conversation. */
export type VersionedFrame =
  | { type: 'new_message' | 'message_updated' | 'message_deleted'; conversation_id: string; version: number; message: Message }
  | {
      type: 'participant_added' | 'participant_updated' | 'participant_removed'
      conversation_id: string
      version: number
      participant: Participant
    }
  | { type: 'conversation_updated'; conversation_id: string; version: number; conversation: SharedConversation }
  | ({ type: 'sync' } & Changes)

export interface ReadyFrame {
  type: 'ready'
  user_id: string
  heartbeat_interval_ms: number
  conversations: { id: string; version: number; unread_count: number }[]
}

export interface ErrorFrame {
  type: 'error'
  id?: string
  code: string
  detail: string
  status: number
  retryable: boolean
  retry_after_ms?: number
}

export type ClientFrame =
  | { type: 'auth'; token: string }
  | { type: 'resume'; cursors: Record<string, number> }
  | { type: 'send_message'; conversation_id: string; content: string; client_message_id: string; reply_to_id?: string }
  | { type: 'mark_read'; conversation_id: string; seq: number }
  | { type: 'ping' }
