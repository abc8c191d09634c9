/** A text frame from server to client (RFC 6455, 5.2): final, unmasked, uncompressed; header and payload in one buffer. */
export function textFrame(...parts: readonly (Uint8Array | string)[]): Buffer {
  let length = 0
  for (const part of parts) length += typeof part === 'string' ? Buffer.byteLength(part) : part.length
  const headerLength = length < 126 ? 2 : length < 65_536 ? 4 : 10
  const frame = Buffer.allocUnsafe(headerLength + length)
  frame[0] = 0x81
  if (length < 126) {
    frame[1] = length
  } else if (length < 65_536) {
    frame[1] = 126
    frame.writeUInt16BE(length, 2)
  } else {
    frame[1] = 127
    frame.writeBigUInt64BE(BigInt(length), 2)
  }
  let at = headerLength
  for (const part of parts) {
    if (typeof part === 'string') {
      at += frame.write(part, at)
    } else {
      frame.set(part, at)
      at += part.length
    }
  }
  return frame
}

/** The text of a frame that `textFrame` made. */
export function textOf(frame: Buffer): string {
  const length = frame[1]!
  return frame.toString('utf8', length < 126 ? 2 : length === 126 ? 4 : 10)
}

const QUOTE = 0x22
const ZERO = 0x30
const NINE = 0x39
/** Where the name of the type begins. */
export const TYPE_AT = '{"type":"'.length
/** `","conversation_id":"`, a UUID, `","version":` */
const AFTER_TYPE = '","conversation_id":"'.length + 36 + '","version":'.length

/**
 * The version of a change, read at its fixed place: `{"type":"…","conversation_id":"<36>","version":N`. Parsing a
 * message costs 6.8 µs, this a tenth of one.
 *
 * @returns undefined where it is no such frame
 */
export function versionOf(change: Uint8Array): number | undefined {
  const end = change.indexOf(QUOTE, TYPE_AT)
  if (end === -1) return undefined
  let at = end + AFTER_TYPE
  let version = 0
  let digits = 0
  for (let c = change[at]; c !== undefined && c >= ZERO && c <= NINE && digits < 16; c = change[++at]) {
    version = version * 10 + (c - ZERO)
    digits++
  }
  return digits > 0 ? version : undefined
}
