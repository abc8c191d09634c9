import { ACK, DIALECTS, type Dialect, MESSAGE, READY } from './dialects.ts'
import { Histogram } from './histogram.ts'
import { CONNECTS_IN_FLIGHT, type ConversationOf, type Member, type Target } from './protocol.ts'
import { clock, LoadSocket } from './socket.ts'

const CONTENT_LENGTH = 120
const FAULTS_MAX = 20

const CONVERSATION_DIGITS = 5
const SENDER_DIGITS = 4
const NUMBER_DIGITS = 8
const TIME_DIGITS = 12
/** Where they stand in a content, behind its mark. */
const CONVERSATION_AT = 1
const SENDER_AT = CONVERSATION_AT + CONVERSATION_DIGITS
const NUMBER_AT = SENDER_AT + SENDER_DIGITS
const TIME_AT = NUMBER_AT + NUMBER_DIGITS
const MARK = '#'.charCodeAt(0)
const ZERO = '0'.charCodeAt(0)
const FILLER = 'what one says in a message of the usual length, neither a word nor a page, '.repeat(3)

const VERSION_AT = '{"type":"new_message","conversation_id":"","version":'.length + 36
const CONTENT_FIELD = '"content":"'

/**
 * People with a socket each, in conversations, at one server. Each content says which message it is and when it was sent,
 * so deliveries are checked and timed without parsing: to every socket each sender's messages must come once and in their
 * order, and all sockets of a conversation must see one and the same order.
 */
export class Crowd {
  readonly target: Target
  readonly dialect: Dialect
  readonly conversations: Talk[]
  readonly acks = new Histogram()
  readonly latencies = new Histogram()
  readonly faults: string[] = []
  accepted = 0
  delivered = 0
  deliveredBytes = 0
  sent = 0
  /** Deliveries that are still to come. */
  outstanding = 0
  /** Sends that are not acknowledged yet. */
  unacknowledged = 0
  onAck: (person: Person) => void = () => {}
  /** Where the content stood in the last frame, seen from the frame's start: mostly it is there again. */
  contentAt = 0
  isClosing = false

  constructor(target: Target, conversations: readonly ConversationOf[]) {
    this.target = target
    this.dialect = DIALECTS[target]
    this.conversations = conversations.map((conversation, index) => new Talk(this, conversation, index))
  }

  /** Resolves when everyone's socket has said `ready`. */
  async open(urls: readonly string[]): Promise<void> {
    const waiting = this.conversations.flatMap(talk => talk.people)
    const connectNext = async (): Promise<void> => {
      for (let person = waiting.pop(); person; person = waiting.pop()) await person.connect(urls[person.place % urls.length]!)
    }
    await Promise.all(Array.from({ length: CONNECTS_IN_FLIGHT }, connectNext))
  }

  close(): void {
    this.isClosing = true
    for (const { people } of this.conversations) for (const person of people) person.end()
  }

  /** Forgets what was counted, not what was said: order is checked over the whole life of the sockets. */
  beginWindow(): void {
    this.acks.clear()
    this.latencies.clear()
    this.accepted = 0
    this.delivered = 0
    this.deliveredBytes = 0
    this.sent = 0
  }

  /** A person by the number of a send, so that conversations and in them people take turns. */
  personAt(turn: number): Person {
    const talk = this.conversations[turn % this.conversations.length]!
    return talk.people[Math.floor(turn / this.conversations.length) % talk.people.length]!
  }

  get isComplete(): boolean {
    return this.outstanding === 0 && this.unacknowledged === 0
  }

  /** What only shows at the end: what is missing, and whether all saw one order. */
  checkComplete(): void {
    for (const talk of this.conversations) talk.checkComplete()
  }

  fault(text: string): void {
    if (this.isClosing || this.faults.length >= FAULTS_MAX) return
    this.faults.push(`${this.target}: ${text}`)
  }
}

/** One conversation: what each of its people sent, and what came to each of them. */
class Talk {
  readonly crowd: Crowd
  readonly id: string
  readonly index: number
  readonly people: Person[]
  accepted = 0
  /** The number of the last message, by receiver and sender. */
  readonly received: Int32Array

  constructor(crowd: Crowd, { id, members }: ConversationOf, index: number) {
    this.crowd = crowd
    this.id = id
    this.index = index
    this.people = members.map((member, place) => new Person(this, place, member))
    this.received = new Int32Array(members.length ** 2)
  }

  checkComplete(): void {
    const [first] = this.people
    for (const person of this.people) {
      for (const sender of this.people) {
        const last = this.received[person.place * this.people.length + sender.place]!
        if (last !== sender.sent) {
          this.crowd.fault(`of the ${sender.sent} messages of sender ${sender.place} only ${last} came to ${person.name}`)
        }
      }
      if (person.order !== first!.order) this.crowd.fault(`${person.name} saw another order than ${first!.name}`)
    }
  }
}

export class Person {
  readonly #talk: Talk
  readonly place: number
  readonly #member: Member
  #socket: LoadSocket | undefined
  #onReady: { resolve: () => void; reject: (error: Error) => void } | undefined
  sent = 0
  #sentAt = 0
  #acknowledged = 0
  #version = 0
  /** A hash over all messages in the order in which they came. */
  order = 0

  constructor(talk: Talk, place: number, member: Member) {
    this.#talk = talk
    this.place = place
    this.#member = member
  }

  get name(): string {
    return `receiver ${this.place} of conversation ${this.#talk.index}`
  }

  connect(url: string): Promise<void> {
    const { crowd, id } = this.#talk
    const target = crowd.dialect.upgradeOf(url, this.#member, id)
    return new Promise((resolve, reject) => {
      this.#onReady = { resolve, reject }
      this.#socket = new LoadSocket(target.url, target.headers, this)
    })
  }

  end(): void {
    this.#socket?.end()
  }

  send(): void {
    const { crowd, id, index, people } = this.#talk
    const number = `${++this.sent}`.padStart(NUMBER_DIGITS, '0')
    const now = clock()
    this.#sentAt = now
    const mark = `#${pad(index, CONVERSATION_DIGITS)}${pad(this.place, SENDER_DIGITS)}${number}${pad(now, TIME_DIGITS)} `
    const content = (mark + FILLER).slice(0, CONTENT_LENGTH)
    crowd.sent++
    crowd.outstanding += people.length
    crowd.unacknowledged++
    const client_message_id = this.#member.user_id.slice(0, 24) + number.padStart(12, '0')
    this.#socket!.send(crowd.dialect.frameOf({ number, conversation_id: id, client_message_id, content }))
  }

  /** Hot path: runs once a delivery, some hundred thousand times a second. */
  onText(buffer: Buffer, start: number, end: number, now: number): void {
    const kind = this.#talk.crowd.dialect.kindOf(buffer, start)
    if (kind === MESSAGE) this.#onMessage(buffer, start, end, now)
    else if (kind === ACK) this.#onAck(buffer, start, now)
    else if (kind === READY && this.#onReady) {
      this.#onReady.resolve()
      this.#onReady = undefined
    } else this.#onOther(buffer.toString('latin1', start, Math.min(end, start + 200)))
  }

  #onOther(text: string): void {
    const { crowd } = this.#talk
    const answer = crowd.dialect.answerTo(text, this.#member)
    if (answer === undefined) {
      crowd.fault(`${this.name} got what nobody expects: ${text}`)
      this.#onReady?.reject(new Error(`${crowd.target}: ${this.name} was not let in: ${text}`))
    } else if (answer !== '') this.#socket!.send(answer)
  }

  onClose(reason: string): void {
    this.#onReady?.reject(new Error(`${this.#talk.crowd.target}: ${this.name} was not let in: ${reason}`))
    this.#talk.crowd.fault(`the socket of ${this.name} ended: ${reason}`)
  }

  #onMessage(buffer: Buffer, start: number, end: number, now: number): void {
    const { crowd, people, index, received } = this.#talk
    let at = start + crowd.contentAt
    if (buffer[at] !== MARK || buffer[at - 1] !== 0x22) {
      at = buffer.indexOf(CONTENT_FIELD, start, 'latin1') + CONTENT_FIELD.length
      crowd.contentAt = at - start
    }
    const conversation = readNumber(buffer, at + CONVERSATION_AT, CONVERSATION_DIGITS)
    const sender = readNumber(buffer, at + SENDER_AT, SENDER_DIGITS)
    const number = readNumber(buffer, at + NUMBER_AT, NUMBER_DIGITS)
    const sentAt = readNumber(buffer, at + TIME_AT, TIME_DIGITS)

    if (conversation !== index) return crowd.fault(`${this.name} got a message of conversation ${conversation}`)
    const place = this.place * people.length + sender
    const expected = received[place]! + 1
    if (number !== expected) {
      crowd.fault(`${this.name} got message ${number} of sender ${sender} where ${expected} comes next`)
      if (number < expected) return
    }
    received[place] = number
    this.order = (Math.imul(this.order, 31) + Math.imul(number, 65_599) + sender) | 0
    if (crowd.dialect.hasVersions) this.#checkVersion(buffer, start + VERSION_AT)

    crowd.latencies.add(now - sentAt)
    crowd.delivered++
    crowd.deliveredBytes += end - start
    crowd.outstanding--
  }

  /** A conversation's versions rise by one with every message, from whatever it was at the connect. */
  #checkVersion(buffer: Buffer, from: number): void {
    let version = 0
    for (let at = from; buffer[at]! >= ZERO && buffer[at]! <= ZERO + 9; at++) version = version * 10 + buffer[at]! - ZERO
    if (version !== this.#version + 1 && this.#version !== 0) {
      this.#talk.crowd.fault(`${this.name} got version ${version} after ${this.#version}`)
    }
    this.#version = version
  }

  #onAck(buffer: Buffer, start: number, now: number): void {
    const { crowd } = this.#talk
    const number = crowd.dialect.ackedBy(buffer, start)
    if (Number.isNaN(number)) return crowd.fault(`a message of ${this.name} was refused`)
    if (number !== this.#acknowledged + 1) crowd.fault(`${this.name} got the ack of ${number} after that of ${this.#acknowledged}`)
    this.#acknowledged = number
    this.#talk.accepted++
    crowd.accepted++
    crowd.unacknowledged--
    // With several under way this is the time since the last of them: only a closed loop reads it.
    crowd.acks.add(now - this.#sentAt)
    crowd.onAck(this)
  }
}

function readNumber(buffer: Buffer, from: number, digits: number): number {
  let value = 0
  for (let at = from; at < from + digits; at++) value = value * 10 + buffer[at]! - ZERO
  return value
}

const pad = (value: number, digits: number): string => `${value}`.padStart(digits, '0')
