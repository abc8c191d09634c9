import type { Conversation, Message } from '../api/types.ts'
import { t } from '../i18n/index.ts'
import { useMessagingStore } from '../stores/messagingStore.ts'
import { addNewer, addOlder, emptyTimeline, putMessage } from '../stores/timeline.ts'
import { useUiStore } from '../stores/uiStore.ts'
import { useSocket } from './useSocket.ts'

/** Histories kept beside the open one, so that going back shows them at once. */
const TIMELINES_MAX = 20

/** What a person does with conversations; each call changes the stores and says so when it fails. */
export function useMessaging() {
  const messaging = useMessagingStore()
  const ui = useUiStore()
  const { api, sync, markRead } = useSocket()

  /** Loads the newest page, or the one around a seq, in place of what is held. */
  async function loadHistory(id: string, around?: number): Promise<void> {
    const page = await api.messages(id, around ? { around } : undefined)
    let timeline = emptyTimeline()
    for (const message of page.messages) timeline = putMessage(timeline, message)
    messaging.setTimeline(id, { ...timeline, hasOlder: page.has_before, hasNewer: page.has_after })
    letGo(id)
    // The page may be older than what frames have told since it was read.
    if (page.version < (messaging.held.get(id) ?? 0)) {
      const changes = await api.changes(id, page.version)
      for (const message of changes.messages) messaging.receive(message)
    }
  }

  async function loadOlder(id: string): Promise<void> {
    const first = messaging.timelines.get(id)?.messages[0]
    if (!first) return
    const page = await api.messages(id, { before: first.seq })
    const timeline = messaging.timelines.get(id)
    if (timeline?.messages[0] === first) messaging.setTimeline(id, addOlder(timeline, page.messages, page.has_before))
  }

  async function loadNewer(id: string): Promise<void> {
    const last = messaging.timelines.get(id)?.messages.at(-1)
    if (!last) return
    const page = await api.messages(id, { after: last.seq })
    const timeline = messaging.timelines.get(id)
    if (timeline?.messages.at(-1)?.id !== last.id) return
    messaging.setTimeline(id, addNewer(timeline, page.messages, page.has_after))
    if (!page.has_after && page.version < (messaging.held.get(id) ?? 0)) {
      for (const message of (await api.changes(id, page.version)).messages) messaging.receive(message)
    }
  }

  function letGo(opened: string): void {
    const others = [...messaging.timelines.keys()].filter(id => id !== opened)
    for (const id of others.slice(0, Math.max(0, others.length - TIMELINES_MAX))) messaging.timelines.delete(id)
  }

  async function edit(message: Message, content: string): Promise<boolean> {
    try {
      messaging.receive(await api.editMessage(message.id, content))
      return true
    } catch {
      ui.say(t('edit_failed'))
      return false
    }
  }

  async function remove(message: Message): Promise<void> {
    try {
      const { version } = await api.deleteMessage(message.id)
      messaging.receive({ ...message, version, content: '', is_deleted: true })
    } catch {
      ui.say(t('delete_failed'))
    }
  }

  async function openDirect(userId: string): Promise<Conversation> {
    const conversation = await api.openDirect(userId)
    messaging.putConversation(conversation)
    return conversation
  }

  async function createGroup(title: string, participantIds: string[]): Promise<Conversation> {
    const conversation = await api.createGroup(title, participantIds)
    messaging.putConversation(conversation)
    return conversation
  }

  return {
    loadHistory,
    loadOlder,
    loadNewer,
    edit,
    remove,
    markRead,
    openDirect,
    createGroup,
    people: api.people,
    fetch: sync.fetchConversation
  }
}
