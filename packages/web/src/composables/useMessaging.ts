import type { ConversationChange, MembershipChange } from '../api/parley.ts'
import { ApiError } from '../api/rest.ts'
import type { Conversation, Message } from '../api/types.ts'
import { t } from '../i18n/index.ts'
import { useMessagingStore } from '../stores/messagingStore.ts'
import { useReactionStore } from '../stores/reactionStore.ts'
import { addNewer, addOlder, emptyTimeline, putMessage } from '../stores/timeline.ts'
import { useUiStore } from '../stores/uiStore.ts'
import { useRefusals } from './useRefusals.ts'
import { useSocket } from './useSocket.ts'

/** Histories kept beside the open one, so that going back shows them at once. */
const TIMELINES_MAX = 20

const quotesUnderWay = new Set<string>()

/** What a person does with conversations; each call changes the stores and says so when it fails. */
export function useMessaging() {
  const messaging = useMessagingStore()
  const reactions = useReactionStore()
  const ui = useUiStore()
  const { sayWhy } = useRefusals()
  const { api, sync, markRead } = useSocket()

  /** Loads the newest page, or the one around a seq or a message, in place of what is held. */
  async function loadHistory(id: string, around?: number | string): Promise<void> {
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
      messaging.receive({ ...message, version, content: '', reactions: [], mentions: [], is_pinned: false, is_deleted: true })
    } catch {
      ui.say(t('delete_failed'))
    }
  }

  async function react(message: Message, emoji: string): Promise<void> {
    try {
      await reactions.toggle(message, emoji, async on => {
        const answer = await api.react(message.id, emoji, on)
        messaging.receive(answer)
        return answer
      })
    } catch (error) {
      sayWhy(error, 'react_failed')
    }
  }

  async function pin(message: Message, on: boolean): Promise<void> {
    try {
      messaging.receive(await api.pin(message.id, on))
      ui.say(t(on ? 'pinned' : 'unpinned'))
    } catch (error) {
      sayWhy(error, 'pin_failed')
    }
  }

  /** @param key the same for each attempt to bring one message to one place */
  async function forward(message: Message, conversationId: string, key: string): Promise<boolean> {
    try {
      messaging.receive(await api.forward(message.id, conversationId, key))
      ui.say(t('forward_done'))
      return true
    } catch (error) {
      sayWhy(error, 'forward_failed')
      return false
    }
  }

  async function loadPins(id: string): Promise<void> {
    const { messages } = await api.pins(id)
    messaging.pins.set(id, messages)
  }

  /** Reads a message that another one replies to, once; where that is refused there is nothing to show of it. */
  async function loadQuote(id: string): Promise<void> {
    if (messaging.quoted.has(id) || quotesUnderWay.has(id)) return
    quotesUnderWay.add(id)
    try {
      messaging.quote(id, await api.message(id))
    } catch (error) {
      if (error instanceof ApiError && !error.retryable) messaging.quote(id, undefined)
    } finally {
      quotesUnderWay.delete(id)
    }
  }

  async function change(id: string, what: ConversationChange): Promise<boolean> {
    try {
      sync.put(await api.changeConversation(id, what))
      return true
    } catch (error) {
      sayWhy(error, 'change_failed')
      return false
    }
  }

  async function changeMine(id: string, what: MembershipChange): Promise<void> {
    try {
      messaging.putMine(id, await api.changeMembership(id, what))
    } catch (error) {
      sayWhy(error, 'change_failed')
    }
  }

  async function leave(id: string): Promise<boolean> {
    try {
      await api.removeParticipant(id, messaging.me)
      messaging.remove(id)
      return true
    } catch (error) {
      sayWhy(error, 'change_failed')
      return false
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
    react,
    pin,
    forward,
    loadPins,
    loadQuote,
    change,
    changeMine,
    leave,
    markRead,
    openDirect,
    createGroup,
    api,
    people: api.people,
    loadArchived: sync.loadArchived,
    fetch: sync.fetchConversation
  }
}
