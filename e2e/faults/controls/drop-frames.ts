/**
 * Swallows one in so many WebSocket frames that begin like this on their way to a client; nothing else on the connection is
 * touched. One for each connection, from its first byte.
 */
export function frameDropper(start: string, oneIn: number): () => (piece: Buffer) => Buffer | null {
  return () => {
    let waiting: Buffer = Buffer.alloc(0)
    let isUpgraded: boolean | undefined
    let count = 0
    return piece => {
      waiting = waiting.length === 0 ? piece : Buffer.concat([waiting, piece])
      const out: Buffer[] = []
      if (isUpgraded === undefined) {
        const end = waiting.indexOf('\r\n\r\n')
        if (end === -1) return null
        isUpgraded = waiting.toString('latin1', 0, 12) === 'HTTP/1.1 101'
        out.push(waiting.subarray(0, end + 4))
        waiting = waiting.subarray(end + 4)
      }
      for (let size = isUpgraded ? frameSize(waiting) : waiting.length; size > 0; size = isUpgraded ? frameSize(waiting) : waiting.length) {
        const frame = waiting.subarray(0, size)
        waiting = waiting.subarray(size)
        const isOne = isUpgraded && frame.subarray(0, 64).includes(start)
        if (!isOne || ++count % oneIn !== 0) out.push(frame)
      }
      return Buffer.concat(out)
    }
  }
}

/** The size of the frame that a buffer begins with; 0 where it is not all there. A server's frames are not masked. */
function frameSize(buffer: Buffer): number {
  if (buffer.length < 2) return 0
  const short = buffer[1]! & 0x7f
  if (short < 126) return buffer.length < 2 + short ? 0 : 2 + short
  if (short === 126) {
    const size = buffer.length < 4 ? Number.POSITIVE_INFINITY : 4 + buffer.readUInt16BE(2)
    return buffer.length < size ? 0 : size
  }
  const size = buffer.length < 10 ? Number.POSITIVE_INFINITY : 10 + Number(buffer.readBigUInt64BE(2))
  return buffer.length < size ? 0 : size
}
