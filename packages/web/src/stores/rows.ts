import type { Message } from '../api/types.ts'
import { dayNumber } from '../text/times.ts'
import type { Pending } from './outboxStore.ts'

/** One line of a thread. `key` stays the same for as long as the line is shown. */
export type Row =
  | { kind: 'beginning'; key: string }
  | { kind: 'day'; key: string; time: string }
  | { kind: 'divider'; key: string; count: number }
  | { kind: 'replies'; key: string; count: number }
  | { kind: 'system'; key: string; message: Message }
  | MessageRow

export interface MessageRow {
  kind: 'message'
  key: string
  mine: boolean
  /** The first and last of a run by one author within five minutes. */
  first: boolean
  last: boolean
  time: string
  content: string
  /** The message that this one replies to. */
  replyTo?: string | undefined
  /** How many reply to this one. */
  replies: number
  message?: Message
  pending?: Pending
}

export interface Divider {
  afterSeq: number
  count: number
}

const GROUP_MS = 5 * 60_000

interface Source {
  messages: readonly Message[]
  pending: readonly Pending[]
  me: string
  divider: Divider | undefined
  hasOlder: boolean
  repliesTo: (message: Message) => number
}

/** Lays out a thread: separators for days, the frozen unread divider, and runs of one author. */
export function buildRows({ messages, pending, me, divider, hasOlder, repliesTo }: Source): Row[] {
  const rows: Row[] = hasOlder ? [] : [{ kind: 'beginning', key: 'beginning' }]
  const stored = new Set<string>()
  let day: number | undefined
  let run: { author: string; time: number; row: MessageRow } | undefined
  let dividerLeft = divider

  function separate(time: string): void {
    const next = dayNumber(time)
    if (next === day) return
    day = next
    run = undefined
    rows.push({ kind: 'day', key: `day-${next}`, time })
  }

  function place(row: MessageRow, author: string): void {
    const time = Date.parse(row.time)
    if (run && run.author === author && time - run.time < GROUP_MS) {
      run.row.last = false
      row.first = false
    }
    run = { author, time, row }
    rows.push(row)
  }

  for (const message of messages) {
    separate(message.created_at)
    if (dividerLeft && message.seq > dividerLeft.afterSeq) {
      rows.push({ kind: 'divider', key: 'divider', count: dividerLeft.count })
      dividerLeft = undefined
      run = undefined
    }
    const mine = message.sender_id === me
    if (mine && message.client_message_id) stored.add(message.client_message_id)
    if (message.content_type === 'system' || message.content_type === 'notification') {
      run = undefined
      rows.push({ kind: 'system', key: message.id, message })
      continue
    }
    const key = message.client_message_id ? `${message.sender_id}/${message.client_message_id}` : message.id
    const replyTo = message.reply_to_id ?? undefined
    const { created_at: time, content } = message
    const replies = repliesTo(message)
    place({ kind: 'message', key, mine, first: true, last: true, time, content, replyTo, replies, message }, message.sender_id)
  }
  for (const entry of pending) {
    if (stored.has(entry.client_message_id)) continue
    separate(entry.created_at)
    const key = `${me}/${entry.client_message_id}`
    const { created_at: time, content, reply_to_id: replyTo } = entry
    place({ kind: 'message', key, mine: true, first: true, last: true, time, content, replyTo, replies: 0, pending: entry }, me)
  }
  return rows
}

/** How high a line will be, roughly, before it is drawn. In px. */
export function estimatedHeight(row: Row | undefined): number {
  if (row?.kind !== 'message') return 48
  const beside = (row.replyTo ? 48 : 0) + (row.message?.reactions.length ? 34 : 0) + (row.replies ? 32 : 0)
  return 44 + beside + Math.min(Math.ceil(row.content.length / 60), 18) * 22
}
