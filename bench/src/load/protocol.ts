/** Those that are measured in one run, in turn. */
export const TARGETS = ['parley', 'socketio', 'broadcast'] as const
export type Target = (typeof TARGETS)[number]

export const CONNECTS_IN_FLIGHT = 100

export interface Member {
  user_id: string
  token: string
}

/** People of one conversation; in a load each is in one conversation alone. */
export interface ConversationOf {
  id: string
  members: Member[]
}

/** Processes by name; with `children` what they have started counts as well. */
export type Watched = Record<string, { pid: number; children?: boolean }>

export interface Open {
  do: 'open'
  target: Target
  /** People of a conversation spread over them. */
  urls: string[]
  conversations: ConversationOf[]
  watched: Watched
}
export interface Opened {
  sockets: number
  seconds: number
  cpu: Record<string, number>
  loadShare: number
}

/** Everyone sends their next message when the last was acknowledged. */
export interface RunClosed {
  do: 'closed'
  target: Target
  rampSeconds: number
  seconds: number
  watched: Watched
}

/** Sends at a rate, whatever comes back; gives up early once half a second of deliveries is outstanding. */
export interface RunPaced {
  do: 'paced'
  target: Target
  rate: number
  seconds: number
  watched: Watched
}

/** What a load saw. Times in milliseconds. */
export interface Ran {
  /** Length of the window in which was counted. */
  seconds: number
  sent: number
  accepted: number
  deliveries: number
  bytesPerDelivery: number
  /** From a send to its acknowledgement. */
  ack: { p50: number; p99: number }
  /** From a send to a delivery, both by the clock of the load generator. */
  delivery: { p50: number; p99: number }
  /** How late messages were sent, where there is a rate to keep. */
  late: { p99: number }
  gaveUp: boolean
  /** CPU of the watched processes in the window, in microseconds. */
  cpu: Record<string, number>
  /** CPU of the load generator as a share of one core. */
  loadShare: number
  /** CPU that neither the load generator nor the watched used, as a share of one core; undefined where it cannot be known. */
  otherShare: number | undefined
}

export interface Close {
  do: 'close'
  target: Target
}
export interface Closed {
  /** Messages that were acknowledged, by conversation. */
  accepted: Record<string, number>
}

export type Order = Open | RunClosed | RunPaced | Close
export type Answer = Opened | Ran | Closed
