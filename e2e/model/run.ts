import { randomUUID } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { Message } from '@parley/contracts'
import { colleagues, type Person } from '@parley/test-kit'
import type { Command } from './commands.ts'
import { Device } from './device.ts'
import { Model, type Said } from './model.ts'
import type { Stage, Told } from './stage.ts'

type Sent = Message & { duplicate?: boolean }

/**
 * One run: a conversation of its own, four people with six devices, and what they do, one command after the other, held
 * against the model after each step and as a whole at the end.
 *
 * @throws Error that says where the platform and the model differ
 */
export async function run(stage: Stage, commands: readonly Command[]): Promise<void> {
  const play = await Play.begin(stage)
  try {
    for (const command of commands) await play.step(command)
    await play.compare()
  } finally {
    play.end()
  }
}

class Play {
  readonly #stage: Stage
  readonly #people: readonly Person[]
  readonly #devices: readonly Device[]
  readonly #model: Model
  readonly #id: string
  /** How many versions an attempt without an answer may have made beside the one that was answered. */
  #slack = 0

  private constructor(stage: Stage, people: readonly Person[], devices: readonly Device[], id: string) {
    this.#stage = stage
    this.#people = people
    this.#devices = devices
    this.#id = id
    // The fourth comes later, if at all.
    this.#model = new Model(people.slice(0, 3).map(({ id }) => id))
  }

  static async begin(stage: Stage): Promise<Play> {
    const people = colleagues('Ada', 'Ben', 'Cleo', 'Dan')
    await Promise.all(people.map(who => stage.ask(who, 'GET', '/me')))
    const [ada, ben, cleo] = people
    const { status, body } = await stage.ask<{ id: string }>(ada, 'POST', '/conversations', {
      type: 'group',
      title: 'A run',
      participant_ids: [ben.id, cleo.id]
    })
    same(status, 201, 'a conversation is made')
    const devices = [0, 1, 1, 2, 2, 3].map((n, index) => new Device(stage.platform, people[n]!, index))
    await Promise.all(devices.slice(0, 4).map(device => device.connect()))
    return new Play(stage, people, devices, body.id)
  }

  end(): void {
    for (const device of this.#devices) device.disconnect()
  }

  async step(command: Command): Promise<void> {
    switch (command.do) {
      case 'nothing':
        return
      case 'send':
        return this.#send(pick(this.#active, command.who)!, command.bySocket)
      case 'send at once':
        return this.#sendAtOnce(command)
      case 'retry':
        return this.#retry(pick(this.#model.messages, command.which))
      case 'edit':
        return this.#edit(pick(this.#own, command.which), command.bySocket)
      case 'delete':
        return this.#delete(pick(this.#own, command.which), command.bySocket)
      case 'read':
        return this.#read(pick(this.#active, command.who)!, command.upTo, command.bySocket)
      case 'join':
        return this.#join(pick(this.#people.slice(1), command.who)!)
      case 'leave':
        return this.#leave(pick(this.#people.slice(1), command.who)!)
      case 'disconnect':
        return pick(this.#devices, command.which)!.disconnect()
      case 'reconnect':
        return pick(this.#devices, command.which)!.connect()
      case 'kill':
        return this.#stage.kill(command.service, command.which)
    }
  }

  get #active(): Person[] {
    return this.#people.filter(({ id }) => this.#model.isIn(id))
  }

  /** Messages that their senders may still change. */
  get #own(): Said[] {
    return this.#model.messages.filter(({ sender }) => this.#model.isIn(sender))
  }

  #person(id: string): Person {
    return this.#people.find(who => who.id === id)!
  }

  /** A connected device of a person, where there is one. */
  #deviceOf(who: Person): Device | undefined {
    return this.#devices.find(device => device.who === who && device.isConnected)
  }

  /** Sends until it is acknowledged, with the same client_message_id; by socket first, where that is wanted and can be. */
  async #say(who: Person, key: string, content: string, bySocket: boolean): Promise<Sent> {
    const fields = { content, client_message_id: key }
    if (bySocket) {
      const answer = await this.#deviceOf(who)?.ask({ type: 'send_message', conversation_id: this.#id, ...fields })
      if (answer?.type === 'ack') return { ...answer.message, ...(answer.duplicate && { duplicate: true }) }
      if (answer && !answer.retryable) throw new Error(`a send was refused: ${answer.code}`)
    }
    const { status, body } = await this.#stage.ask<Sent>(who, 'POST', `/conversations/${this.#id}/messages`, fields)
    if (status !== 201 && status !== 200) throw new Error(`a send was refused: ${status} ${JSON.stringify(body)}`)
    return body
  }

  async #send(who: Person, bySocket: boolean): Promise<void> {
    const key = randomUUID()
    const message = await this.#say(who, key, `said ${key}`, bySocket)
    this.#stored([message], [{ who, key }])
  }

  /** Several at the same moment, perhaps while a process dies: any order is right, a hole or a second copy is not. */
  async #sendAtOnce({ count, kill, which }: Extract<Command, { do: 'send at once' }>): Promise<void> {
    const senders = Array.from({ length: count }, (_, n) => ({ who: pick(this.#active, n)!, key: randomUUID() }))
    const sends = senders.map(({ who, key }, n) => this.#say(who, key, `said ${key}`, n % 2 === 0))
    if (kill) this.#stage.kill(kill, which)
    this.#stored(await Promise.all(sends), senders)
  }

  #stored(messages: readonly Sent[], senders: readonly { who: Person; key: string }[]): void {
    const byPlace = messages.map((message, n) => ({ message, ...senders[n]! })).sort((a, b) => a.message.seq - b.message.seq)
    for (const { message, who, key } of byPlace) {
      same(message.seq, this.#model.lastSeq + 1, 'the next place')
      same(message.sender_id, who.id, 'its sender')
      this.#model.say({ seq: message.seq, id: message.id, sender: who.id, key, content: `said ${key}` })
      same(message.content, `said ${key}`, 'what was said')
      this.#advance(message.version)
    }
  }

  /** The model counts versions too; an attempt without an answer may have made one more. */
  #advance(version: number): void {
    const { version: expected } = this.#model
    if (version < expected || version > expected + this.#slack) throw new Error(`version ${version}, the model has ${expected}`)
    this.#slack -= version - expected
    this.#model.version = version
  }

  async #retry(said: Said | undefined): Promise<void> {
    if (!said || !this.#model.isIn(said.sender)) return
    const first = { content: `said ${said.key}`, client_message_id: said.key }
    const path = `/conversations/${this.#id}/messages`
    const { status, body } = await this.#stage.ask<Sent>(this.#person(said.sender), 'POST', path, first)
    same([status, body.duplicate, body.id, body.seq], [200, true, said.id, said.seq], 'a retry finds what stands')
    same(body.content, said.isDeleted ? '' : said.content, 'and what it says now')
    const other = await this.#stage.ask<{ code: string }>(this.#person(said.sender), 'POST', path, { ...first, content: 'something else' })
    same([other.status, other.body.code], [409, 'idempotency_mismatch'], 'other content is refused')
  }

  async #change(said: Said, frame: { type: string; content?: string }, method: string, bySocket: boolean): Promise<Told<Message>> {
    const who = this.#person(said.sender)
    let asked = 0
    if (bySocket) {
      const device = this.#deviceOf(who)
      if (device) asked = 1
      const answer = await device?.ask({ ...frame, type: frame.type, message_id: said.id })
      if (answer?.type === 'ack') return { status: 200, body: answer.message, attempts: 1 }
      if (answer && !answer.retryable) return { status: answer.status, body: answer as unknown as Message, attempts: 1 }
    }
    const { type: _, ...body } = frame
    const told = await this.#stage.ask<Message>(who, method, `/messages/${said.id}`, method === 'DELETE' ? undefined : body)
    return { ...told, attempts: told.attempts + asked }
  }

  async #edit(said: Said | undefined, bySocket: boolean): Promise<void> {
    if (!said) return
    const content = `edited ${randomUUID()}`
    const { status, body, attempts } = await this.#change(said, { type: 'edit_message', content }, 'PATCH', bySocket)
    if (said.isDeleted) return same(status, 409, 'what is deleted cannot be edited')
    same(status, 200, 'an edit')
    same([body.id, body.seq, body.content, body.is_edited], [said.id, said.seq, content, true], 'an edit keeps its place')
    said.content = content
    this.#changed(body.version, attempts)
  }

  async #delete(said: Said | undefined, bySocket: boolean): Promise<void> {
    if (!said) return
    const { status, body, attempts } = await this.#change(said, { type: 'delete_message' }, 'DELETE', bySocket)
    same(status, 200, 'a delete, also a second one')
    if (said.isDeleted) return
    said.isDeleted = true
    // The attempt that was answered may have found what an earlier one had done.
    this.#changed(body.version, attempts)
  }

  #changed(version: number, attempts: number): void {
    this.#model.version++
    this.#slack += attempts - 1
    this.#advance(version)
  }

  async #read(who: Person, upTo: number, bySocket: boolean): Promise<void> {
    const seq = upTo % (this.#model.lastSeq + 3)
    if (seq === 0) return
    const expected = this.#model.read(who.id, seq)
    const frame = bySocket && (await this.#deviceOf(who)?.ask({ type: 'mark_read', conversation_id: this.#id, seq }))
    const isAcknowledged = frame && frame.type === 'ack'
    const body = isAcknowledged
      ? frame
      : (await this.#stage.ask<{ last_read_seq: number; unread_count: number }>(who, 'POST', `/conversations/${this.#id}/read`, { seq }))
          .body
    same([body.last_read_seq, body.unread_count], [expected, this.#model.unread(who.id)], `${who.name} has read ${seq}`)
  }

  async #join(who: Person): Promise<void> {
    if (this.#model.isIn(who.id)) return
    const ada = this.#people[0]!
    const path = `/conversations/${this.#id}/participants`
    const { status, attempts } = await this.#stage.ask(ada, 'POST', path, { user_id: who.id, role: 'member' })
    if (status !== 201 && !(status === 200 && attempts > 1)) throw new Error(`${who.name} was not added: ${status}`)
    this.#model.add(who.id)
  }

  async #leave(who: Person): Promise<void> {
    if (!this.#model.isIn(who.id)) return
    const { status, attempts } = await this.#stage.ask(who, 'DELETE', `/conversations/${this.#id}/participants/${who.id}`)
    if (status !== 204 && !(status === 403 && attempts > 1)) throw new Error(`${who.name} could not leave: ${status}`)
    this.#model.remove(who.id)
  }

  /** Everything is quiet: every device of who is in, the answers to each of them and the model are the same. */
  async compare(): Promise<void> {
    const model = this.#model
    for (const who of this.#people) {
      const { status, body } = await this.#stage.ask<{
        unread_count: number
        version: number
        last_seq: number
        participant_count: number
      }>(who, 'GET', `/conversations/${this.#id}`)
      if (!model.isIn(who.id)) {
        same(status, 403, `${who.name} is not in it`)
        continue
      }
      this.#advance(body.version)
      same(
        { seq: body.last_seq, people: body.participant_count, unread: body.unread_count },
        { seq: model.lastSeq, people: model.active.length, unread: model.unread(who.id) },
        `what ${who.name} is told of the conversation`
      )
      const expected = model.visible(who.id).map(shown)
      same(await this.#history(who), expected, `the history that ${who.name} reads`)
      for (const device of this.#devices.filter(device => device.who === who)) {
        await device.holds(this.#id, model.version)
        const held = device.ledger.messages(this.#id).filter(({ content_type }) => content_type !== 'system')
        const from = model.stayFrom(who.id)
        const earlier = new Set(held.filter(({ seq }) => seq < from).map(({ seq }) => seq))
        const wanted = expected.filter(({ seq }) => seq >= from || earlier.has(seq))
        same(held.map(shownOf), wanted, `what a device of ${who.name} holds`)
      }
    }
    for (const device of this.#devices) {
      device.look()
      same(device.ledger.faults, [], `what ${device.who.name} was told in disorder`)
    }
  }

  async #history(who: Person): Promise<Shown[]> {
    const { body } = await this.#stage.ask<{ messages: Message[]; has_more: boolean }>(
      who,
      'GET',
      `/conversations/${this.#id}/messages?limit=100&after=0`
    )
    let { messages, has_more } = body
    while (has_more) {
      const next = await this.#stage.ask<{ messages: Message[]; has_more: boolean }>(
        who,
        'GET',
        `/conversations/${this.#id}/messages?limit=100&after=${messages.at(-1)!.seq}`
      )
      messages = [...messages, ...next.body.messages]
      has_more = next.body.has_more
    }
    return messages.filter(({ content_type }) => content_type !== 'system').map(shownOf)
  }
}

interface Shown {
  seq: number
  id: string
  content: string
  isDeleted: boolean
}

const shown = ({ seq, id, content, isDeleted }: Said): Shown => ({ seq, id, content: isDeleted ? '' : content, isDeleted })
const shownOf = ({ seq, id, content, is_deleted }: Message): Shown => ({ seq, id, content, isDeleted: is_deleted })

function pick<T>(list: readonly T[], n: number): T | undefined {
  return list[n % Math.max(1, list.length)]
}

function same(found: unknown, wanted: unknown, what: string): void {
  if (!isDeepStrictEqual(found, wanted)) throw new Error(`${what}: ${JSON.stringify(found)}, the model says ${JSON.stringify(wanted)}`)
}
