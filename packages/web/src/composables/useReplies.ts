import { computed, onScopeDispose, ref, watch } from 'vue'
import { ApiError } from '../api/rest.ts'
import type { Conversation, Message } from '../api/types.ts'
import { useMessagingStore } from '../stores/messagingStore.ts'
import { useOutboxStore } from '../stores/outboxStore.ts'
import { addReplies, NO_REPLIES, replyCounter } from '../stores/replies.ts'
import { buildRows, type Row } from '../stores/rows.ts'
import { useSocket } from './useSocket.ts'

/** One message with what was said in reply to it, page by page from the first reply on, and live. */
export function useReplies(conversation: () => Conversation, rootId: string) {
  const messaging = useMessagingStore()
  const outbox = useOutboxStore()
  const { api, status } = useSocket()
  const loading = ref<'first' | 'newer'>()
  const failed = ref(false)
  /** There is no such message here for me. */
  const missing = ref(false)
  let gone = false
  let underWay: Promise<void> | undefined

  const timeline = computed(() => messaging.timelines.get(conversation().id))
  const root = computed(() => {
    const found = timeline.value?.messages.find(({ id }) => id === rootId) ?? messaging.quoted.get(rootId)
    return found?.conversation_id === conversation().id ? found : undefined
  })
  const replies = computed(() => messaging.threads.get(rootId))
  const opened = ref(false)
  const loaded = computed(() => opened.value && replies.value !== undefined && root.value !== undefined)
  const rows = computed<Row[]>(() => {
    if (!root.value || !replies.value) return []
    const repliesTo = replyCounter(timeline.value)
    const said = replies.value.messages.filter(({ is_deleted }) => !is_deleted)
    const all = buildRows({
      messages: [root.value, ...said],
      pending: replies.value.hasMore ? [] : outbox.entries.filter(({ reply_to_id }) => reply_to_id === rootId),
      me: messaging.me,
      divider: { afterSeq: root.value.seq, count: replies.value.hasMore ? repliesTo(root.value) : said.length },
      hasOlder: true,
      repliesTo
    })
    return all.map(row => {
      if (row.kind === 'divider') return { kind: 'replies', key: 'replies', count: row.count }
      if (row.kind !== 'message') return row
      // Here it is plain what they reply to, and the first line has its replies below it.
      return row.message?.id === rootId ? { ...row, replies: 0 } : { ...row, replyTo: undefined }
    })
  })

  function load(what: 'first' | 'newer', work: () => Promise<void>): Promise<void> {
    if (loading.value) return underWay!
    loading.value = what
    failed.value = false
    underWay = work()
      .catch(error => {
        if (error instanceof ApiError && !error.retryable) missing.value = true
        else failed.value = true
      })
      .finally(() => (loading.value = undefined))
    return underWay
  }

  function open(): Promise<void> {
    return load('first', async () => {
      // From here on what comes live is kept, since the page may be from before it.
      messaging.threads.set(rootId, NO_REPLIES)
      const [message] = await Promise.all([api.message(rootId), page()])
      if (message.conversation_id !== conversation().id) missing.value = true
      keep(message)
      opened.value = true
    })
  }

  function keep(message: Message): void {
    if ((messaging.quoted.get(rootId)?.version ?? 0) < message.version) messaging.quote(rootId, message)
  }

  async function page(): Promise<void> {
    const answer = await api.replies(rootId, replies.value?.messages.at(-1)?.seq ?? 0)
    if (!gone) messaging.threads.set(rootId, addReplies(replies.value ?? NO_REPLIES, answer.messages, answer.has_more))
  }

  const newer = () => load('newer', page)

  /** Reads to the end, so that what is written now stands where it belongs. */
  async function latest(): Promise<void> {
    await underWay
    await load('newer', async () => {
      while (replies.value?.hasMore && !gone) await page()
    })
  }

  void open()
  // A hole that was too large to fill lets go of what was read; it is then read anew.
  watch(replies, now => {
    if (!now) void open()
  })
  watch(
    () => status.value.state,
    state => {
      if (state === 'live' && failed.value) void (loaded.value ? newer() : open())
    }
  )
  onScopeDispose(() => {
    gone = true
    messaging.threads.delete(rootId)
  })

  return { root, replies, rows, loaded, loading, failed, missing, open, newer, latest }
}
