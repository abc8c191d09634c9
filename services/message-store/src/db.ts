import type { Database } from '@parley/pg-kit'
import type { ColumnType, Generated } from 'kysely'

/** The tables as they are, held against the real schema by a test. */
export interface Tables {
  organizations: { id: string; name: string; created_at: Generated<string> }
  users: {
    org_id: string
    id: string
    username: string
    display_name: string
    title: string | null
    department: string | null
    avatar_url: string | null
    email: string | null
    role: Generated<string>
    settings: ColumnType<Record<string, unknown>, string | undefined, string>
    created_at: Generated<string>
    updated_at: Generated<string>
    deactivated_at: string | null
    erased_at: string | null
    search_name: ColumnType<string, never, never>
    sort_name: ColumnType<string, never, never>
  }
  conversations: {
    id: string
    org_id: string
    type: string
    status: Generated<string>
    title: string | null
    description: string | null
    project_id: string | null
    created_by: string
    direct_low: string | null
    direct_high: string | null
    metadata: ColumnType<Record<string, unknown>, string | undefined, string>
    participant_count: Generated<number>
    last_seq: Generated<number>
    version: Generated<number>
    last_message_id: string | null
    last_message_at: string | null
    created_at: string
    updated_at: string
    changed_version: Generated<number>
    history: Generated<string>
    purged_seq: Generated<number>
  }
  participants: {
    conversation_id: string
    user_id: string
    org_id: string
    role: Generated<string>
    is_active: Generated<boolean>
    joined_at: string
    version: Generated<number>
    last_read_seq: Generated<number>
    last_read_at: string | null
    archived: Generated<boolean>
    notifications: Generated<string>
    muted_until: string | null
    draft: string | null
    joined_version: Generated<number>
    first_version: Generated<number>
    left_seq: number | null
    pinned: Generated<boolean>
    archived_seq: Generated<number>
  }
  absences: { conversation_id: string; user_id: string; from_seq: number; until_seq: number; org_id: string }
  messages: {
    conversation_id: string
    seq: number
    id: string
    version: number
    org_id: string
    sender_id: string
    content: string
    content_type: Generated<string>
    reply_to_id: string | null
    metadata: ColumnType<Record<string, unknown> | null, string | null, never>
    client_message_id: string | null
    created_at: string
    updated_at: string
    edited_at: string | null
    deleted_at: string | null
    deleted_by: string | null
    reaction_count: Generated<number>
    pinned_at: string | null
    pinned_by: string | null
    mentions: string[] | null
    mention_all: Generated<boolean>
    forwarded_from: string | null
    purged_at: string | null
  }
  mentions: { conversation_id: string; user_id: string; seq: number; org_id: string }
  reactions: { message_id: string; emoji: string; user_id: string; conversation_id: string; org_id: string; created_at: string }
  message_revisions: {
    message_id: string
    conversation_id: string
    org_id: string
    version: number
    content: string
    edited_at: string
    edited_by: string
  }
  read_markers: { conversation_id: string; user_id: string; seq: number; org_id: string; read_at: string }
  projects: {
    org_id: string
    id: string
    name: string | null
    description: string | null
    created_at: Generated<string>
    updated_at: Generated<string>
  }
  project_members: { org_id: string; project_id: string; user_id: string; joined_at: Generated<string> }
  blocks: { org_id: string; blocker_id: string; blocked_id: string; created_at: Generated<string> }
  scheduled_messages: {
    id: string
    org_id: string
    conversation_id: string
    user_id: string
    content: string
    first_content: string
    content_type: string
    reply_to_id: string | null
    metadata: ColumnType<Record<string, unknown> | null, string | null, never>
    client_message_id: string | null
    send_at: string
    due_at: string
    status: Generated<string>
    error: string | null
    attempts: Generated<number>
    created_at: Generated<string>
    updated_at: Generated<string>
  }
  message_search: { message_id: string; conversation_id: string; seq: number; org_id: string; version: number; lexemes: string }
  search_progress: { conversation_id: string; seq: number }
  search_worker: { id: number; seen_id: string | null }
  jobs: {
    id: string
    org_id: string
    kind: string
    status: Generated<string>
    subject_id: string | null
    params: ColumnType<Record<string, unknown>, string, never>
    cursor: ColumnType<Record<string, unknown>, string | undefined, string>
    result: ColumnType<Record<string, unknown>, string | undefined, string>
    done: Generated<number>
    total: Generated<number>
    attempts: Generated<number>
    error: string | null
    created_by: string
    created_at: string
    started_at: string | null
    updated_at: string
    finished_at: string | null
    expires_at: string | null
  }
  export_pages: { job_id: string; page: number; org_id: string; data: string }
  outbox_batches: {
    id: string
    created_at: string
    kind: string
    conversation_ids: string[]
    versions: Generated<number[]>
    user_ids: Generated<string[]>
  }
}

/** Two ways into the same tables: `people` answers a person under row-level security, `store` does the service's own work. */
export interface Databases {
  people: Database<Tables>
  store: Database<Tables>
}
