import { ref, shallowRef, watch } from 'vue'
import { createApi } from '../api/parley.ts'
import type { Message } from '../api/types.ts'
import { Connection, ConnectionLost, Refused, type Status } from '../socket/connection.ts'
import type { ReadyFrame, ServerFrame } from '../socket/frames.ts'
import { createSync } from '../socket/sync.ts'
import { useDraftStore } from '../stores/draftStore.ts'
import { useMessagingStore } from '../stores/messagingStore.ts'
import { type Outcome, type Pending, useOutboxStore } from '../stores/outboxStore.ts'
import { useSessionStore } from '../stores/sessionStore.ts'

type Resumed = Extract<ServerFrame, { type: 'resumed' }>

const RESUME_TIMEOUT_MS = 30_000
// The server takes this many at a time.
const CURSORS_MAX = 1_000

export type Socket = ReturnType<typeof createSocket>
let current: Socket | undefined

/** The one socket of this window; made at the first call after a sign-in. */
export function useSocket(): Socket {
  current ??= createSocket()
  return current
}

/** Ends the socket and forgets what was held: the next person starts with nothing. */
export function closeSocket(): void {
  current?.stop()
  current = undefined
}

function createSocket() {
  const session = useSessionStore()
  const messaging = useMessagingStore()
  const outbox = useOutboxStore()
  const drafts = useDraftStore()
  const status = shallowRef<Status>({ state: 'idle' })
  const loaded = ref(false)
  const api = createApi(session.tokens)
  const sync = createSync(api, { messaging, outbox, drafts })
  /** Read positions that the server has not confirmed; told again after a reconnect. */
  const reads = new Map<string, number>()
  let resumed: ((frame: Resumed) => void) | undefined

  const connection = new Connection({
    url: `${location.origin.replace(/^http/, 'ws')}/api/v1/ws`,
    token: session.tokens.token,
    renew: session.renew,
    catchUp,
    onFrame,
    onStatus: next => {
      status.value = next
      outbox.connect(next.state === 'live' ? attempt : undefined)
      drafts.connect(next.state === 'live' ? tellDraft : undefined)
      if (next.state === 'live') for (const id of reads.keys()) void tellRead(id)
    }
  })

  // A renewed token is shown to the live socket at once, whoever asked for it.
  const unwatch = watch(
    () => session.token,
    token => {
      if (token && status.value.state === 'live') void connection.request({ type: 'auth', token }).catch(() => undefined)
    }
  )

  function onFrame(frame: ServerFrame): void {
    if (frame.type === 'resumed') resumed?.(frame)
    else if (frame.type === 'token_expiring') void session.renew().catch(() => undefined)
    else sync.apply(frame)
  }

  async function catchUp(ready: ReadyFrame): Promise<void> {
    if (!loaded.value) {
      await sync.load()
      loaded.value = true
      return
    }
    // The cursors are what was held before this connection, so they are read before anything else is applied.
    const held = new Map(messaging.held)
    const ids = [...held.keys()]
    await sync.takeReady(ready)
    for (let from = 0; from < ids.length; from += CURSORS_MAX) await resume(ids.slice(from, from + CURSORS_MAX), held)
    // What another device read meanwhile moved my position, which the counts alone do not tell.
    const unsure = [...messaging.timelines.keys()].filter(id => (messaging.conversations.get(id)?.unread_count ?? 0) > 0)
    await Promise.all(unsure.map(id => sync.fetchConversation(id)))
  }

  /** Asks for what was missed until all of it has come. */
  async function resume(ids: string[], versions = new Map(messaging.held)): Promise<void> {
    const cursors = Object.fromEntries(ids.map(id => [id, versions.get(id) ?? 0]))
    const {
      complete,
      reset = [],
      removed = []
    } = await new Promise<Resumed>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('no answer to resume')), RESUME_TIMEOUT_MS)
      resumed = frame => {
        clearTimeout(timer)
        resolve(frame)
      }
      connection.send({ type: 'resume', cursors })
    })
    for (const id of removed) messaging.remove(id)
    await Promise.all(reset.map(id => sync.reset(id)))
    const left = ids.filter(id => messaging.held.has(id))
    if (!complete && left.some(id => messaging.held.get(id) !== cursors[id])) await resume(left)
  }

  /** One attempt to store a message. Whether it was stored is only known from an answer. */
  async function attempt({ conversation_id, content, client_message_id, reply_to_id }: Pending): Promise<Outcome> {
    const reply = reply_to_id ? { reply_to_id } : {}
    try {
      const ack = await connection.request({ type: 'send_message', conversation_id, content, client_message_id, ...reply })
      sync.stored(ack.message as Message)
      return { kind: 'stored' }
    } catch (error) {
      if (error instanceof ConnectionLost) return { kind: 'lost' }
      if (!(error instanceof Refused)) throw error
      const { code, retryable, retry_after_ms } = error.frame
      if (retryable) return { kind: 'later', afterMs: Math.max(retry_after_ms ?? 1_000, 250), code }
      return { kind: 'refused', code }
    }
  }

  function tellDraft(conversationId: string, draft: string | null): Promise<unknown> {
    return api.changeMembership(conversationId, { draft })
  }

  /** Moves my read position, here at once and at the server as soon as it hears it. */
  function markRead(conversationId: string, seq: number): void {
    messaging.setRead(conversationId, messaging.me, seq)
    reads.set(conversationId, Math.max(seq, reads.get(conversationId) ?? 0))
    if (status.value.state === 'live') void tellRead(conversationId)
  }

  async function tellRead(conversationId: string): Promise<void> {
    const seq = reads.get(conversationId)
    if (!seq) return
    const ack = await connection.request({ type: 'mark_read', conversation_id: conversationId, seq }).catch(error => {
      if (error instanceof Refused && !error.frame.retryable) reads.delete(conversationId)
    })
    if (!ack) return
    if (reads.get(conversationId) === seq) reads.delete(conversationId)
    // Where the end is not loaded the server's count is the only one.
    if (messaging.timelines.get(conversationId)?.hasNewer) messaging.setUnread(conversationId, Number(ack.unread_count))
  }

  return {
    api,
    markRead,
    sync,
    status,
    loaded,
    start: () => connection.start(),
    retryNow: () => connection.retryNow(),
    stop() {
      unwatch()
      connection.stop()
      messaging.clear()
    }
  }
}
