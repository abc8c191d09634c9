/** What one message is in the model: what it says now, and whether it still says anything. */
export interface Said {
  readonly seq: number
  readonly id: string
  readonly sender: string
  readonly key: string
  content: string
  isDeleted: boolean
}

interface Member {
  isActive: boolean
  /** Places that this person may see: from the first to the last, both counted; open at the end while they are in. */
  periods: { from: number; until: number }[]
  read: number
}

/**
 * A group conversation as it must be: a plain list of what was said, in memory, without a database, a bus or a clock.
 * What the platform answers is held against it, step by step and at the end.
 */
export class Model {
  readonly messages: Said[] = []
  readonly members = new Map<string, Member>()
  lastSeq = 0
  version = 1

  constructor(people: readonly string[]) {
    for (const id of people) this.members.set(id, { isActive: true, periods: [{ from: 1, until: Infinity }], read: 0 })
  }

  isIn(person: string): boolean {
    return this.members.get(person)?.isActive ?? false
  }

  get active(): string[] {
    return [...this.members].filter(([, member]) => member.isActive).map(([id]) => id)
  }

  say(message: Omit<Said, 'isDeleted'>): void {
    this.messages.push({ ...message, isDeleted: false })
    this.lastSeq++
    this.version++
    const sender = this.members.get(message.sender)!
    sender.read = Math.max(sender.read, message.seq)
  }

  /** Who comes sees what follows; the sentence that says so is the first of it, and read. */
  add(person: string): void {
    const member = this.members.get(person) ?? { isActive: true, periods: [], read: 0 }
    member.isActive = true
    member.periods.push({ from: this.lastSeq + 1, until: Infinity })
    member.read = Math.max(member.read, this.lastSeq + 1)
    this.members.set(person, member)
    this.#sentence()
  }

  remove(person: string): void {
    const member = this.members.get(person)!
    member.isActive = false
    member.periods.at(-1)!.until = this.lastSeq
    this.#sentence()
  }

  /** A change of membership has a version, and the sentence that tells of it a place and a version of its own. */
  #sentence(): void {
    this.lastSeq++
    this.version += 2
  }

  /** @returns how far the person has read then: never back, never past the end */
  read(person: string, seq: number): number {
    const member = this.members.get(person)!
    member.read = Math.max(member.read, Math.min(seq, this.lastSeq))
    return member.read
  }

  visible(person: string): Said[] {
    const { periods } = this.members.get(person)!
    return this.messages.filter(({ seq }) => periods.some(({ from, until }) => from <= seq && seq <= until))
  }

  /** The first place of the stay that a person is in. A device forgets an earlier one when it is told of its end. */
  stayFrom(person: string): number {
    return this.members.get(person)!.periods.at(-1)!.from
  }

  /** What others said past one's position, less what was deleted. */
  unread(person: string): number {
    const { read } = this.members.get(person)!
    return this.visible(person).filter(message => message.seq > read && message.sender !== person && !message.isDeleted).length
  }
}
