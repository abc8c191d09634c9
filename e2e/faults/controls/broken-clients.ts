import { setTimeout as delay } from 'node:timers/promises'
import type { Message } from '@parley/contracts'
import { client, type Frame } from '@parley/test-kit'
import { Reader, type ReaderOptions } from '../client/reader.ts'
import { Sender } from '../client/sender.ts'
import { seen } from '../history.ts'

const AFTER_FETCH_MS = 500
const PAGE = 100

/** Fetches first and subscribes afterwards; what was said in between it never asks for. */
export class HastyReader extends Reader {
  readonly #options: ReaderOptions

  constructor(options: ReaderOptions) {
    super(options)
    this.#options = options
  }

  override start(): void {
    void this.#fetch().then(() => super.start())
  }

  async #fetch(): Promise<void> {
    const { cast, org_id, doors, history, proc } = this.#options
    history.add({ proc, type: 'ok', op: 'connect', value: 'fetch' })
    const rest = client(doors.urls[0]!, doors.token())
    for (const { id: conv } of cast.conversations.filter(one => one.org_id === org_id)) {
      const messages: Message[] = []
      let version = 0
      for (let isOver = false; !isOver; ) {
        const { status, body } = await rest.get(`/conversations/${conv}/messages?after=${messages.length}&limit=${PAGE}`)
        // A guest is not in all of them.
        if (status !== 200) break
        version = body.version
        messages.push(...body.messages)
        isOver = !body.has_more
      }
      if (version === 0) continue
      history.add({ proc, type: 'ok', op: 'sync', conv, from: 0, version, messages: messages.map(seen) })
      this.entry(conv).held = version
    }
    await delay(AFTER_FETCH_MS)
  }

  protected override onReady(frame: Frame): void {
    super.onReady(frame)
    // It believes to have all that was before.
    for (const entry of this.conversations.values()) entry.held = entry.live ?? entry.held
    this.beInStep()
  }

  protected override resume(): void {}
}

/** Applies whatever comes, as if nothing could be missing in between. */
export class RecklessReader extends Reader {
  protected override get checksGaps(): boolean {
    return false
  }
}

/** Sends again without saying that it is the same. */
export class ForgetfulSender extends Sender {
  protected override idOf(): object {
    return {}
  }
}
