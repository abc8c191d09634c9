const LINE_FEED = 0x0a

/** Lines as one text: a line feed between each two of them. */
export function joinLines(lines: readonly Uint8Array[]): Buffer {
  const joined = Buffer.allocUnsafe(lines.reduce((bytes, line) => bytes + line.length + 1, -1))
  let at = 0
  for (const line of lines) {
    if (at > 0) joined[at++] = LINE_FEED
    joined.set(line, at)
    at += line.length
  }
  return joined
}

/** Lines put together, each group as large as a message may be at most. */
export function packLines(lines: readonly Uint8Array[], maxBytes: number): Uint8Array[] {
  const messages: Uint8Array[] = []
  let first = 0
  let bytes = 0
  for (const [index, line] of lines.entries()) {
    if (index > first && bytes + line.length > maxBytes) {
      messages.push(joinLines(lines.slice(first, index)))
      first = index
      bytes = 0
    }
    bytes += line.length + 1
  }
  if (first < lines.length) messages.push(joinLines(lines.slice(first)))
  return messages
}
