import { computed, nextTick, type Ref, ref, shallowRef } from 'vue'
import type { Capability, Conversation, Message } from '../api/types.ts'
import { t } from '../i18n/index.ts'
import { openBeside } from '../router.ts'
import { useOutboxStore } from '../stores/outboxStore.ts'
import type { MessageRow } from '../stores/rows.ts'
import { useUiStore } from '../stores/uiStore.ts'
import { useMessaging } from './useMessaging.ts'
import type { Action } from './useRowKeys.ts'

// More people than that are not called by accident.
const CALLED_MAX = 20
const CALLS_ALL = /(?<![\p{L}\p{N}_])@all(?![\p{L}\p{N}_])/iu

export type Deeds = ReturnType<typeof useDeeds>

/** Where messages are written. */
interface Composer {
  focus(): void
  offer(text: string): void
}

interface Options {
  input: Readonly<Ref<Composer | null>>
  /** Sends a text from here. */
  post: (text: string) => Promise<void>
  /** Begins a reply to a message; where there is none, replies are not offered. */
  reply?: (message: Message) => void
}

/** What is done with the messages of a list: what may be, and what is being done. */
export function useDeeds(conversation: () => Conversation, { input, post, reply }: Options) {
  const outbox = useOutboxStore()
  const ui = useUiStore()
  const messaging = useMessaging()
  const editing = shallowRef<Message>()
  const removing = shallowRef<Message>()
  const forwarding = shallowRef<Message>()
  /** My message of which it is asked who has read it. */
  const asking = shallowRef<Message>()
  const menu = shallowRef<{ row: MessageRow; anchor: HTMLElement }>()
  /** The message for which an emoji is chosen. */
  const picking = shallowRef<{ row: MessageRow; anchor: HTMLElement }>()
  /** A text that calls many people, until that is confirmed. */
  const calling = ref<string>()
  const closed = computed(() => {
    const { status } = conversation()
    if (status === 'locked') return t('locked')
    if (status === 'archived') return t('archived')
    return can('send') ? undefined : t('read_only')
  })

  function can(what: Capability): boolean {
    return conversation().my.capabilities.includes(what)
  }

  function allowedFor({ message, mine, replies }: MessageRow): ReadonlySet<Action> {
    const actions = new Set<Action>(['copy'])
    if (message && replies > 0) actions.add('replies')
    if (!message || message.is_deleted) return actions
    actions.add('forward')
    if (mine && conversation().type !== 'direct') actions.add('readers')
    if (conversation().status !== 'active') return actions
    if (can('react')) actions.add('react')
    if (can('send') && reply) actions.add('reply')
    if (can('pin')) actions.add('pin')
    if (mine) actions.add('edit').add('remove')
    return actions
  }

  /** What the menu of a message offers. */
  const allowed = computed(() => (menu.value ? allowedFor(menu.value.row) : new Set<Action>()))

  function act(action: Action, row: MessageRow): void {
    const { message } = row
    if (!allowedFor(row).has(action)) return
    if (action === 'copy') void copy(row)
    else if (!message) return
    else if (action === 'reply') startReply(message)
    else if (action === 'replies') openBeside('replies', message.id)
    else if (action === 'forward') forwarding.value = message
    else if (action === 'pin') void messaging.pin(message, !message.is_pinned)
    else if (action === 'readers') asking.value = message
    else if (action === 'edit') startEditing(message)
    else if (action === 'remove') removing.value = message
  }

  function reactTo(emoji: string, row: MessageRow): void {
    if (row.message && allowedFor(row).has('react')) void messaging.react(row.message, emoji)
  }

  async function copy(row: MessageRow): Promise<void> {
    // Without a secure origin there is no clipboard at all.
    const copied = await navigator.clipboard?.writeText(row.content).then(
      () => true,
      () => false
    )
    ui.say(t(copied ? 'copied' : 'copy_failed'))
  }

  function startReply(message: Message): void {
    editing.value = undefined
    reply?.(message)
    void nextTick().then(() => input.value?.focus())
  }

  function startEditing(message: Message): void {
    editing.value = message
    void nextTick().then(() => input.value?.focus())
  }

  function stopEditing(): void {
    editing.value = undefined
    void nextTick().then(() => input.value?.focus())
  }

  async function save(text: string): Promise<void> {
    const message = editing.value
    if (!message) return
    if (text === message.content || (await messaging.edit(message, text))) stopEditing()
  }

  /** Calling many people is asked about first. */
  async function send(text: string): Promise<void> {
    if (conversation().participant_count > CALLED_MAX && can('mention_all') && CALLS_ALL.test(text)) calling.value = text
    else await post(text)
  }

  async function callAll(): Promise<void> {
    const text = calling.value
    calling.value = undefined
    if (text) await post(text)
  }

  /** What is not sent after all goes back to where it was written. */
  async function callNobody(): Promise<void> {
    const text = calling.value
    calling.value = undefined
    await nextTick()
    if (text) input.value?.offer(text)
  }

  function retry({ pending }: MessageRow): void {
    if (pending) outbox.retry(pending.client_message_id)
  }

  /** Takes a refused message back; its text returns to the composer unless something else is being written. */
  function discard({ pending }: MessageRow): void {
    if (!pending) return
    outbox.settle(pending.client_message_id)
    input.value?.offer(pending.content)
  }

  return {
    editing,
    removing,
    forwarding,
    asking,
    menu,
    picking,
    calling,
    closed,
    allowed,
    can,
    act,
    reactTo,
    startEditing,
    stopEditing,
    save,
    send,
    callAll,
    callNobody,
    retry,
    discard,
    remove: messaging.remove
  }
}
