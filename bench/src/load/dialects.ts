import type { Member, Target } from './protocol.ts'

/** What a frame is, as far as the load generator wants to know. */
export const MESSAGE = 1
export const ACK = 2
export const READY = 3
export const OTHER = 4
export type Kind = typeof MESSAGE | typeof ACK | typeof READY | typeof OTHER

export interface Send {
  /** Eight digits. */
  number: string
  conversation_id: string
  client_message_id: string
  content: string
}

/** How one of the servers is spoken to: frames are made as text and looked at byte by byte, never parsed. */
export interface Dialect {
  /** Whether deliveries carry a `version` that rises by one. */
  readonly hasVersions: boolean
  upgradeOf(url: string, member: Member, conversation_id: string): { url: URL; headers: Record<string, string> }
  frameOf(send: Send): string
  /** Hot path: runs once a delivery. */
  kindOf(buffer: Buffer, start: number): Kind
  /** Which send an acknowledgement is for; NaN where it was refused. */
  ackedBy(buffer: Buffer, start: number): number
  /** What a frame of another kind asks for: a frame to send, '' for nothing; undefined where nobody expects such a frame. */
  answerTo(text: string, member: Member): string | undefined
}

const ZERO = '0'.charCodeAt(0)
const isDigit = (byte: number | undefined): boolean => byte !== undefined && byte >= ZERO && byte <= ZERO + 9

function readDigits(buffer: Buffer, from: number): number {
  let value = 0
  for (let at = from; isDigit(buffer[at]); at++) value = value * 10 + buffer[at]! - ZERO
  return value
}

/** Where the first letter of a frame's type stands. */
const TYPE_AT = '{"type":"'.length
const ACK_ID_AT = '{"type":"ack","id":"'.length
const KINDS: Readonly<Record<number, Kind>> = { [code('n')]: MESSAGE, [code('a')]: ACK, [code('r')]: READY }

const jsonFrames = {
  kindOf: (buffer: Buffer, start: number): Kind => KINDS[buffer[start + TYPE_AT]!] ?? OTHER,
  ackedBy: (buffer: Buffer, start: number): number => readDigits(buffer, start + ACK_ID_AT),
  frameOf: ({ number, conversation_id, client_message_id, content }: Send): string =>
    `{"type":"send_message","id":"${number}","conversation_id":"${conversation_id}","client_message_id":"${client_message_id}","content":"${content}"}`,
  answerTo: (): undefined => undefined
}

const parley: Dialect = {
  ...jsonFrames,
  hasVersions: true,
  upgradeOf: (url, { token }) => ({ url: new URL('/api/v1/ws', url), headers: { authorization: `Bearer ${token}` } })
}

const broadcast: Dialect = {
  ...jsonFrames,
  hasVersions: false,
  upgradeOf(url, { user_id }, conversation_id) {
    const target = new URL(url)
    target.search = new URLSearchParams({ user: user_id, conversation: conversation_id }).toString()
    return { url: target, headers: {} }
  }
}

// Socket.IO over WebSocket alone (Engine.IO 4): `0` opens, `2` and `3` are ping and pong, `4` carries a packet of Socket.IO,
// which is `0` connect, `2` event, `3` acknowledgement; an id of digits may follow, then JSON.
const EVENT_NAME_AT = '42["'.length
const ACK_NUMBER_AT = '43'.length
const ACCEPTED = '[{"m'

const socketio: Dialect = {
  hasVersions: false,
  upgradeOf: url => ({ url: new URL('/socket.io/?EIO=4&transport=websocket', url), headers: {} }),
  frameOf: ({ number, conversation_id, client_message_id, content }) =>
    `42${number}["send_message",{"conversation_id":"${conversation_id}","client_message_id":"${client_message_id}","content":"${content}"}]`,
  kindOf(buffer, start) {
    if (buffer[start] !== code('4')) return OTHER
    if (buffer[start + 1] === code('3')) return ACK
    return buffer[start + 1] === code('2') ? (KINDS[buffer[start + EVENT_NAME_AT]!] ?? OTHER) : OTHER
  },
  ackedBy(buffer, start) {
    let at = start + ACK_NUMBER_AT
    while (isDigit(buffer[at])) at++
    const isAccepted = buffer.toString('latin1', at, at + ACCEPTED.length) === ACCEPTED
    return isAccepted ? readDigits(buffer, start + ACK_NUMBER_AT) : Number.NaN
  },
  answerTo(text, { token }) {
    if (text.startsWith('0{')) return `40{"token":"${token}"}`
    if (text === '2') return '3'
    return text.startsWith('40') ? '' : undefined
  }
}

export const DIALECTS: Readonly<Record<Target, Dialect>> = { parley, socketio, broadcast }

function code(letter: string): number {
  return letter.charCodeAt(0)
}
