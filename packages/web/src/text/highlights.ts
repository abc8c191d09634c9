import type { SearchResult } from '../api/types.ts'

export type Piece = { text: string; found: boolean }

/** A piece of a content, cut where something was found in it. Text goes in and text comes out, never markup. */
export function highlightPieces({ text, ranges }: SearchResult['highlights'][number]): Piece[] {
  const pieces: Piece[] = []
  let from = 0
  for (const [start, end] of ranges) {
    if (start < from || end > text.length || end <= start) continue
    if (start > from) pieces.push({ text: text.slice(from, start), found: false })
    pieces.push({ text: text.slice(start, end), found: true })
    from = end
  }
  if (from < text.length) pieces.push({ text: text.slice(from), found: false })
  return pieces
}
