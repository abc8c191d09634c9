import type { Api } from '../api/parley.ts'
import { ApiError } from '../api/rest.ts'
import type { Changes, Conversation, Message } from '../api/types.ts'
import type { useDraftStore } from '../stores/draftStore.ts'
import type { useMessagingStore } from '../stores/messagingStore.ts'
import type { useOutboxStore } from '../stores/outboxStore.ts'
import { knowsEveryone } from '../stores/people.ts'
import type { ReadyFrame, ServerFrame, VersionedFrame } from './frames.ts'

type Stores = {
  messaging: ReturnType<typeof useMessagingStore>
  outbox: ReturnType<typeof useOutboxStore>
  drafts: ReturnType<typeof useDraftStore>
}

/** Past this many missed changes the newest page is fetched anew instead of each change. */
const HOLE_MAX = 1_000
const RACE_MS = 1_000
/** More new conversations than this are read page by page. */
const FRESH_MAX = 20
const COMINGS = { participant_added: 'added', participant_updated: 'updated', participant_removed: 'removed' } as const

export type Sync = ReturnType<typeof createSync>

/** Keeps the stores equal to the server: applies frames, notices holes in versions and fills them. */
export function createSync(api: Api, { messaging, outbox, drafts }: Stores) {
  const filling = new Map<string, Promise<void>>()
  const fetching = new Map<string, Promise<void>>()
  /** When a count was told, and when one was made here, of each conversation. */
  const told = new Map<string, number>()
  const counted = new Map<string, number>()
  const rechecks = new Set<string>()
  /** Frames of conversations that the first list has yet to bring. */
  let early: ServerFrame[] | undefined

  function apply(frame: ServerFrame): void {
    if (early && 'conversation_id' in frame && !messaging.conversations.has(String(frame.conversation_id))) {
      early.push(frame)
      return
    }
    switch (frame.type) {
      case 'conversation_added':
        void fetchConversation(frame.conversation_id)
        break
      case 'conversation_removed':
        messaging.remove(frame.conversation_id)
        // An answer under way may be from before, and would bring it back.
        if (fetching.has(frame.conversation_id)) void fetchAnew(frame.conversation_id)
        break
      case 'message_read':
        messaging.setRead(frame.conversation_id, frame.user_id, frame.seq)
        break
      case 'unread':
        messaging.setUnread(frame.conversation_id, frame.unread_count)
        told.set(frame.conversation_id, Date.now())
        recheck(frame.conversation_id)
        break
      case 'membership_updated':
        messaging.putMine(frame.conversation_id, frame.my)
        drafts.take(frame.conversation_id, frame.my.draft)
        break
      case 'participant_removed':
        if (frame.participant.user_id === messaging.me) messaging.remove(frame.conversation_id)
        else applyVersioned(frame)
        break
      case 'new_message':
      case 'message_updated':
      case 'message_deleted':
      case 'participant_added':
      case 'participant_updated':
      case 'conversation_updated':
      case 'sync':
        applyVersioned(frame)
        break
    }
  }

  /**
   * A conversation not heard of before is fetched whole. The answer may have been under way before this happened, so the
   * frame is applied after it; what the answer had already does no harm twice.
   */
  function applyVersioned(frame: VersionedFrame): void {
    const { conversation_id, version } = frame
    if (!messaging.conversations.has(conversation_id)) {
      void fetchConversation(conversation_id).then(() => {
        if (messaging.conversations.has(conversation_id)) applyVersioned(frame)
      })
      return
    }
    if (frame.type === 'sync') {
      applyChanges(frame, frame.from_version > held(conversation_id))
      return
    }
    if ('message' in frame) {
      settle(frame.message)
      messaging.receive(frame.message)
      counted.set(conversation_id, Date.now())
      recheck(conversation_id)
    } else if ('participant' in frame) {
      messaging.putParticipant(conversation_id, version, frame.participant, COMINGS[frame.type])
      if (frame.participant.user_id === messaging.me) void fetchAnew(conversation_id)
    } else {
      putShared({ ...frame.conversation, id: conversation_id, version })
    }
    if (!messaging.advance(conversation_id, version)) void fillHole(conversation_id)
  }

  /** What I may do goes by the status, and is told to me alone: it is asked for. */
  function putShared(shared: Parameters<typeof messaging.putShared>[0]): void {
    const before = messaging.conversations.get(shared.id)?.status
    messaging.putShared(shared)
    if (messaging.conversations.get(shared.id)?.status !== before) void fetchAnew(shared.id)
  }

  /**
   * A count told by another device and a message that comes at the same time travel separate ways, so either may
   * include the other or not. Then the server is asked, once it is quiet.
   */
  function recheck(id: string): void {
    if (Math.abs((told.get(id) ?? 0) - (counted.get(id) ?? Number.POSITIVE_INFINITY)) > RACE_MS || rechecks.has(id)) return
    rechecks.add(id)
    setTimeout(() => {
      rechecks.delete(id)
      void fetchConversation(id)
    }, RACE_MS)
  }

  function settle(message: { sender_id: string; client_message_id: string | null }): void {
    if (message.sender_id === messaging.me && message.client_message_id) outbox.settle(message.client_message_id)
  }

  /** The answer to a send. Its version is not followed: the frames before it may still be under way. */
  function stored(message: Message): void {
    settle(message)
    messaging.receive(message)
  }

  function held(id: string): number {
    return messaging.held.get(id) ?? 0
  }

  function applyChanges(changes: Changes, holeBefore = false): void {
    const id = changes.conversation_id
    for (const message of [...changes.messages].sort((a, b) => a.seq - b.seq)) {
      settle(message)
      messaging.receive(message)
    }
    const known = messaging.conversations.get(id)
    const isCounted = known !== undefined && knowsEveryone(known)
    for (const participant of changes.participants) messaging.putParticipant(id, changes.version, participant)
    const concernsMe = changes.participants.some(({ user_id }) => user_id === messaging.me)
    // How many people there are cannot be told from those who changed where not all are known.
    if (concernsMe || (changes.participants.length > 0 && !isCounted)) void fetchAnew(id)
    if (changes.conversation) putShared({ ...changes.conversation, id, version: changes.version })
    if (!holeBefore) messaging.caughtUp(id, changes.version)
    if (holeBefore || changes.has_more) void fillHole(id)
  }

  /** Asks for what is missing until nothing is; one request at a time for each conversation. */
  function fillHole(id: string): Promise<void> {
    let filled = filling.get(id)
    if (!filled) {
      filled = fill(id)
        .catch(() => undefined)
        .finally(() => filling.delete(id))
      filling.set(id, filled)
    }
    return filled
  }

  async function fill(id: string): Promise<void> {
    const newest = messaging.conversations.get(id)?.version ?? 0
    if (newest - held(id) > HOLE_MAX) return reset(id)
    for (;;) {
      const changes = await api.changes(id, held(id))
      applyChanges({ ...changes, has_more: false })
      if (!changes.has_more) break
    }
    // What came late was not counted where something newer had been: the server's own count is exact.
    put(await api.conversation(id))
  }

  /** Starts a conversation over from the server's word, for when the hole is too large or its edge unknown. */
  async function reset(id: string): Promise<void> {
    messaging.startOver(id)
    const conversation = await api.conversation(id)
    put(conversation)
    messaging.caughtUp(id, conversation.version)
  }

  function put(conversation: Conversation): void {
    messaging.putConversation(conversation)
    drafts.take(conversation.id, conversation.my.draft)
  }

  /** Fetches a conversation as it is now, and not as an answer that is under way has it. */
  async function fetchAnew(id: string): Promise<void> {
    await fetching.get(id)
    await fetchConversation(id)
  }

  /** Adds or refreshes one conversation. One that is not there any more is taken out. */
  function fetchConversation(id: string): Promise<void> {
    let fetched = fetching.get(id)
    if (!fetched) {
      fetched = api
        .conversation(id)
        .then(put)
        .catch(error => {
          if (error instanceof ApiError && (error.status === 404 || error.status === 403)) messaging.remove(id)
        })
        .finally(() => fetching.delete(id))
      fetching.set(id, fetched)
    }
    return fetched
  }

  /** The first time: the newest come by REST, after `ready` has promised that nothing falls in between; the rest follow. */
  async function load(): Promise<void> {
    early = []
    const hasMore = await loadPage(1)
    const waiting = early
    early = undefined
    for (const frame of waiting) apply(frame)
    if (hasMore) void loadFrom(2).catch(() => undefined)
  }

  async function loadFrom(first: number): Promise<void> {
    for (let page = first; await loadPage(page); page += 1);
  }

  async function loadPage(page: number, archived: 'false' | 'only' = 'false'): Promise<boolean> {
    const { conversations, pagination } = await api.conversations(page, archived)
    for (const conversation of conversations) put(conversation)
    return pagination.has_next
  }

  /** What I have put away is read once somebody asks for it. */
  async function loadArchived(): Promise<void> {
    for (let page = 1; await loadPage(page, 'only'); page += 1);
  }

  /** After a reconnect: `ready` has the counts, conversations that are new here, and no more those that I was removed from. */
  async function takeReady(ready: ReadyFrame): Promise<void> {
    const mine = new Set(ready.conversations.map(({ id }) => id))
    for (const id of [...messaging.conversations.keys()]) if (!mine.has(id)) messaging.remove(id)
    const fresh = ready.conversations.filter(({ id }) => !messaging.conversations.has(id))
    for (const { id, version, unread_count } of ready.conversations) messaging.setUnread(id, unread_count, version)
    if (fresh.length > FRESH_MAX) void loadFrom(1).catch(() => undefined)
    else await Promise.all(fresh.map(({ id }) => fetchConversation(id)))
  }

  return { apply, stored, load, loadArchived, put, takeReady, fetchConversation, fillHole, reset }
}
