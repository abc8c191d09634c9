import { computed, onMounted, ref, shallowRef, watch } from 'vue'
import { ApiError } from '../api/rest.ts'
import type { Conversation } from '../api/types.ts'
import { t } from '../i18n/index.ts'
import { openMessage } from '../router.ts'
import { useMessagingStore } from '../stores/messagingStore.ts'
import { useOutboxStore } from '../stores/outboxStore.ts'
import { replyCounter } from '../stores/replies.ts'
import { buildRows, type Divider } from '../stores/rows.ts'
import { useUiStore } from '../stores/uiStore.ts'
import { systemText } from '../text/system.ts'
import { useAttention } from './useAttention.ts'
import { useMessaging } from './useMessaging.ts'
import { useSocket } from './useSocket.ts'

/** Below this many unread messages the newest page holds them all. */
const NEWEST_PAGE = 40

/** One open conversation: its rows, the frozen divider, and the loading of history in both directions. */
export function useThread(conversation: () => Conversation) {
  const messaging = useMessagingStore()
  const outbox = useOutboxStore()
  const ui = useUiStore()
  const { status, markRead } = useSocket()
  const { loadHistory, loadOlder, loadNewer } = useMessaging()
  const attentive = useAttention()
  const id = conversation().id
  const divider = shallowRef<Divider>()
  const loading = ref<'first' | 'older' | 'newer'>()
  const failed = ref(false)
  let underWay: Promise<void> | undefined

  const timeline = computed(() => messaging.timelines.get(id))
  const pending = computed(() => outbox.entries.filter(({ conversation_id }) => conversation_id === id))
  const rows = computed(() =>
    buildRows({
      messages: timeline.value?.messages ?? [],
      // Beyond a gap the own message would stand beside the wrong ones.
      pending: timeline.value?.hasNewer ? [] : pending.value,
      me: messaging.me,
      divider: divider.value,
      hasOlder: timeline.value?.hasOlder ?? true,
      repliesTo: replyCounter(timeline.value)
    })
  )

  /** Remembers where reading ended; the line stays there while the conversation is looked at. */
  function freezeDivider(): void {
    const { unread_count, my } = conversation()
    if (unread_count > 0) divider.value = { afterSeq: my.last_read_seq, count: unread_count }
  }

  function load(what: 'first' | 'older' | 'newer', work: () => Promise<void>): Promise<void> {
    if (loading.value) return Promise.resolve()
    loading.value = what
    failed.value = false
    underWay = work()
      .catch(() => {
        failed.value = true
      })
      .finally(() => (loading.value = undefined))
    return underWay
  }

  function open(): Promise<void> {
    return load('first', async () => {
      if (openMessage.value && (await loadAround(openMessage.value))) return
      const { unread_count, my } = conversation()
      await loadHistory(id, unread_count > NEWEST_PAGE ? my.last_read_seq + 1 : undefined)
    })
  }

  /** Whether a message is there to be shown; what surrounds it is loaded where it lies outside of what is held. */
  async function lead(messageId: string): Promise<boolean> {
    await underWay
    if (holds(messageId)) return true
    await load('first', async () => {
      await loadAround(messageId)
    })
    return holds(messageId)
  }

  function holds(messageId: string): boolean {
    return timeline.value?.messages.some(message => message.id === messageId) === true
  }

  /** False where there is no such message for me. */
  async function loadAround(messageId: string): Promise<boolean> {
    try {
      await loadHistory(id, messageId)
      return true
    } catch (error) {
      if (error instanceof ApiError && !error.retryable) return false
      throw error
    }
  }

  const older = () => load('older', () => loadOlder(id))
  const newer = () => load('newer', () => loadNewer(id))
  const latest = () => load('first', () => loadHistory(id))

  function seen(seq: number): void {
    if (attentive.value && seq > conversation().my.last_read_seq && conversation().unread_count > 0) markRead(id, seq)
  }

  onMounted(() => {
    freezeDivider()
    if (!timeline.value) void open()
  })

  // A hole that was too large to fill lets the history go; it is then read anew.
  watch(timeline, now => {
    if (!now && !failed.value) void open()
  })
  watch(
    () => status.value.state,
    state => {
      if (state === 'live' && failed.value) void (timeline.value ? undefined : open())
    }
  )

  // What comes while nobody looks is what they will have missed on return.
  watch(
    () => conversation().unread_count,
    (now, before) => {
      if (now > before && before === 0 && !attentive.value) freezeDivider()
    }
  )

  watch(
    () => conversation().last_message,
    (message, before) => {
      if (!message || !before || message.seq <= before.seq || message.sender_id === messaging.me) return
      const text =
        message.content_type === 'system'
          ? systemText(message, messaging.me)
          : t('announce_message', { name: message.sender.display_name, text: message.content.slice(0, 120) })
      ui.announce(text, count => t('announce_many', { count }))
    }
  )

  return { timeline, rows, pending, divider, loading, failed, attentive, open, older, newer, latest, lead, seen }
}
