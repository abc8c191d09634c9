import { randomUUIDv7 } from 'node:crypto'
import type { Kysely } from '@parley/pg-kit'
import type { Tables } from './db.ts'
import { bumpConversation, type ChangingConversation, insertSystemMessage, readLocked, type SharedFields } from './queries/change.ts'
import { leaveInOutbox } from './queries/outbox.ts'

/** What a system message tells, so that a client can say it in its own language; `content` says it in English. */
export type SystemEvent =
  | { event: 'participant_added' | 'participant_removed' | 'participant_left'; user_id: string; actor_id: string; display_name: string }
  | { event: 'status_changed'; status: string; actor_id: string }
  | { event: 'title_changed'; title: string | null; actor_id: string }

/**
 * The lasting changes that one transaction makes in a conversation: who comes and goes, and the system messages that tell
 * of it. Each takes a version of its own, in the order in which it happened. The conversation's row is locked from the
 * beginning to the commit, so whoever changes, sends or leaves at the same moment comes before or after all of them.
 */
export class ConversationChange {
  readonly db: Kysely<Tables>
  /** As it was when it was locked; the counters here go on from it. */
  readonly conversation: Readonly<ChangingConversation>
  /** Made once the row was locked, so that times rise with versions. */
  readonly at: string
  readonly actor_id: string
  readonly versions: number[] = []
  /** Those for whom the conversation comes or goes. */
  readonly concerned: string[] = []
  last_seq: number
  #version: number
  #participant_count: number
  #fields: SharedFields = {}
  #changed_version: number | undefined
  #last_message_id: string | undefined

  private constructor(db: Kysely<Tables>, conversation: ChangingConversation, actor_id: string) {
    this.db = db
    this.conversation = conversation
    this.actor_id = actor_id
    this.at = new Date().toISOString()
    this.last_seq = conversation.last_seq
    this.#version = conversation.version
    this.#participant_count = conversation.participant_count
  }

  /** Locks a conversation that exists. */
  static async begin(db: Kysely<Tables>, conversation_id: string, actor_id: string): Promise<ConversationChange> {
    return new ConversationChange(db, await readLocked(db, conversation_id), actor_id)
  }

  get participant_count(): number {
    return this.#participant_count
  }

  nextVersion(): number {
    this.versions.push(++this.#version)
    return this.#version
  }

  /** Counts one who came or went, and has them told. */
  count(user_id: string, change: 1 | -1): void {
    this.#participant_count += change
    this.concerned.push(user_id)
  }

  /** Changes what everyone sees of the conversation, all of it in one version. */
  set(fields: SharedFields): void {
    Object.assign(this.#fields, fields)
    this.#changed_version = this.nextVersion()
  }

  async tell(content: string, metadata: SystemEvent): Promise<void> {
    const id = randomUUIDv7()
    const version = this.nextVersion()
    this.last_seq++
    this.#last_message_id = id
    await insertSystemMessage(this.db, {
      id,
      conversation_id: this.conversation.id,
      org_id: this.conversation.org_id,
      seq: this.last_seq,
      version,
      sender_id: this.actor_id,
      content,
      metadata: JSON.stringify(metadata),
      at: this.at
    })
  }

  /** Writes the counters and leaves the work for the outbox, in the same transaction. */
  async finish(batch: string): Promise<void> {
    const { id } = this.conversation
    await bumpConversation(this.db, id, {
      at: this.at,
      version: this.#version,
      last_seq: this.last_seq,
      participant_count: this.#participant_count,
      last_message_id: this.#last_message_id,
      fields: this.#fields,
      changed_version: this.#changed_version
    })
    await leaveInOutbox(this.db, {
      id: batch,
      created_at: this.at,
      kind: 'conversation_changed',
      conversation_ids: this.versions.map(() => id),
      versions: this.versions,
      user_ids: this.concerned
    })
  }
}
